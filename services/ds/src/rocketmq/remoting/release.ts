const firstMajor = 4;
/** Number of 4.0.0-SNAPSHOT; from there on each patch has two, its snapshot's first. */
const firstNumber = 212;
const perPatch = 2;
const perMinor = 10 * perPatch;
const perMajor = 10 * perMinor;

/** The release that RocketMQ has a number for (`MQVersion`): `5.5.0`. Undefined: older ones. */
export function releaseOf(version: number): string | undefined {
  const number = version - firstNumber;
  if (number < 0) return undefined;
  const major = firstMajor + Math.floor(number / perMajor);
  const minor = Math.floor((number % perMajor) / perMinor);
  const patch = Math.floor((number % perMinor) / perPatch);
  return `${major}.${minor}.${patch}`;
}
