/** The same as in package.json; `npm run verify` checks it. */
export const version = '0.1.0';
