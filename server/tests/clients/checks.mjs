// A list of checks. All are made, whatever fails; the last line on the standard output names them.

const checks = [];

/** Puts a check on the list. */
export function check(name, work) {
  checks.push([name, work]);
}

/** Makes all checks, and ends the program: with 1 if any of them failed. */
export async function run() {
  const failed = [];
  for (const [name, work] of checks) {
    try {
      await work();
    } catch (error) {
      failed.push(name);
      console.error(`--- ${name}`);
      console.error(error);
    }
  }
  console.log(JSON.stringify({ checks: checks.map(([name]) => name), failed }));
  process.exitCode = failed.length === 0 ? 0 : 1;
}
