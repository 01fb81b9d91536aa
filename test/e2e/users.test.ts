// Users who log in.
export {};
