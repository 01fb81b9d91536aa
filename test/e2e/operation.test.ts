// The broker as its operator sees it.
export {};
