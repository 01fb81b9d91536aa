// The `lmqtt` command.
import { helpText } from '@lmqtt/common/settings/describe';
import { nearest } from '@lmqtt/common/settings/nearest';
import { SettingsError } from '@lmqtt/common/settings/parse';
import type { Sources } from '@lmqtt/common/settings/read';
import type { ProgramName } from '@lmqtt/common/settings/row';
import { version } from '@lmqtt/common/version';
import { visible } from '@lmqtt/common/visible';

const usage = `lmqtt: an MQTT broker

  npm start -- [settings]            run the broker
  npm run lmqtt -- [command] [...]

Commands:
  standalone   run the broker in one process (when no command is given)
  ds           run a dispatch node: it keeps messages and sessions, and cs nodes connect to it
  cs           run a connection node: clients connect to it, and it connects to ds; keeps no files
  doctor       look at the settings, RocketMQ, Redis and the nodes of a cluster; 1: change something
  brokers      list the brokers of RocketMQ, or forget one that has left (see brokers --help)
  topics       say in which RocketMQ topics messages are, and move them (see topics --help)
  dead-letters list, show, replay or purge messages that could not be delivered (see
               dead-letters --help)
  unmapped     say which messages of back ends reach no device, and why (see unmapped --help)
  delayed      list the messages that wait for their time, or cancel one (see delayed --help)
  check        read a data folder that no broker uses, and say what is wrong (see check --help)
  passwd       add, change, delete and list the users of a password file (see passwd --help)
  --help       this text; after ds, cs or doctor, the settings that it reads
  --version    the version
`;

const settingsHelp = `Settings, each as a flag (--mqtt-port 2883), in the environment (LMQTT_MQTT_PORT=2883) or in a file
of key=value lines (MQTT_PORT=2883) named by --config FILE, which may be given several times. Flags
count more than the environment, the environment more than files. One file may serve both ds and cs:
each reads what it needs. Secrets have a second form that names a file with the secret in it
(--ops-token-file, LMQTT_OPS_TOKEN_FILE): the flags of a process can be read by every user of its
machine, files and the environment cannot. Files have the syntax of Java's properties: a \\ begins an
escape (write C:\\\\data), and one at the end of a line continues it. They are read again when they change.
`;

const programs: readonly string[] = ['standalone', 'ds', 'cs'] satisfies readonly ProgramName[];

interface Tool {
  readonly usage: string;
  readonly run: (sources: Sources) => Promise<number>;
}

/** Commands with a help text of their own, by their names. */
const tools: ReadonlyMap<string, () => Promise<Tool>> = new Map(
  Object.entries({
    brokers: async () => {
      const { brokersUsage, runBrokers } = await import('./brokers.ts');
      return { usage: brokersUsage, run: runBrokers };
    },
    topics: async () => {
      const { topicsUsage, runTopics } = await import('./topics.ts');
      return { usage: topicsUsage, run: runTopics };
    },
    'dead-letters': async () => {
      const { deadLettersUsage, runDeadLetters } = await import('./dead-letters.ts');
      return { usage: deadLettersUsage, run: runDeadLetters };
    },
    unmapped: async () => {
      const { runUnmapped, unmappedUsage } = await import('./unmapped.ts');
      return { usage: unmappedUsage, run: runUnmapped };
    },
    delayed: async () => {
      const { delayedUsage, runDelayed } = await import('./delayed.ts');
      return { usage: delayedUsage, run: runDelayed };
    },
    check: async () => {
      const { checkUsage, runCheck } = await import('./check.ts');
      return { usage: checkUsage, run: runCheck };
    },
  }),
);

function isProgram(command: string): command is ProgramName {
  return programs.includes(command);
}

async function dispatch(args: readonly string[]): Promise<number | undefined> {
  const first = args[0];
  const isFlag = first === undefined || first.startsWith('-');
  const command = isFlag ? 'standalone' : first;
  const rest = isFlag ? args : args.slice(1);
  if (command === 'passwd') {
    const { runPasswd } = await import('@lmqtt/ds/auth/passwd');
    return runPasswd([...rest]);
  }
  const tool = tools.get(command);
  if (tool !== undefined) {
    const { usage: toolUsage, run } = await tool();
    if (!rest.includes('--help') && !rest.includes('-h'))
      return run({ args: rest, environment: process.env });
    process.stdout.write(toolUsage);
    return 0;
  }
  const program = command === 'doctor' ? 'ds' : command;
  if (!isProgram(program)) {
    const meant = nearest(command, [...programs, ...tools.keys(), 'doctor', 'passwd']);
    const hint = meant === undefined ? 'see --help' : `did you mean ${meant}?`;
    throw new SettingsError(`${command}: there is no such command (${hint})`);
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    const head = command === 'standalone' ? usage : `lmqtt ${command} [settings]\n`;
    process.stdout.write(`${head}\n${settingsHelp}\n${helpText(program)}\n`);
    return 0;
  }
  if (rest.includes('--version')) {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  if (command === 'doctor') {
    const { runDoctor } = await import('./doctor.ts');
    return runDoctor({ args: rest, environment: process.env });
  }
  const { runProgram } = await import('./run-program.ts');
  await runProgram(program, { args: rest, environment: process.env });
  return undefined;
}

try {
  const code = await dispatch(process.argv.slice(2));
  // Without one the program runs on.
  if (code !== undefined) process.exit(code);
} catch (error) {
  if (!(error instanceof SettingsError)) throw error;
  process.stderr.write(`lmqtt: ${visible(error.message)}\n`);
  process.exitCode = 2;
}
