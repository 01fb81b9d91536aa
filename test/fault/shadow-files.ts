import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { DiskFiles, type OpenFile } from '@lmqtt/ds/journal/files';

interface Write {
  readonly path: string;
  readonly bytes: Buffer;
  readonly position: number;
}

const sectorBytes = 512;

/**
 * The disk, with a second copy in memory of what a loss of power would leave: only writes that
 * were said to be durable, in files whose name a sync of the folder has covered. Of a write that
 * is on its way, any of its sectors may be there.
 */
export class ShadowFiles extends DiskFiles {
  readonly #contents = new Map<string, Buffer>();
  readonly #linked = new Set<string>();
  readonly #removed = new Set<string>();
  readonly #running = new Set<Write>();
  readonly #filled: Write[] = [];
  #state: Buffer | undefined;

  /** To be called when a checkpoint has been told: the state as it is now is durable. */
  stateFlushed(directory: string): void {
    this.#state = readFileSync(join(directory, 'state', 'data.mdb'));
  }

  /** Takes what a folder holds, which is durable, as the beginning. */
  adopt(directory: string): void {
    const log = join(directory, 'log');
    if (!existsSync(log)) return;
    for (const name of readdirSync(log)) {
      this.#contents.set(join(log, name), readFileSync(join(log, name)));
      this.#linked.add(join(log, name));
    }
    if (existsSync(join(directory, 'state', 'data.mdb'))) this.stateFlushed(directory);
  }

  /** Writes the copy to another folder, at once. */
  restore(directory: string, into: string): void {
    mkdirSync(join(into, 'state'), { recursive: true });
    mkdirSync(join(into, 'log'), { recursive: true });
    if (this.#state !== undefined) writeFileSync(join(into, 'state', 'data.mdb'), this.#state);
    for (const path of this.#linked) {
      const content = Buffer.from(this.#contents.get(path) ?? Buffer.alloc(0));
      let torn: Buffer = content;
      for (const write of this.#running) {
        if (write.path === path) torn = this.#tear(torn, write);
      }
      writeFileSync(join(into, relative(directory, path)), torn);
    }
  }

  override async open(path: string, mode: 'read' | 'write' | 'create'): Promise<OpenFile> {
    const file = await super.open(path, mode);
    if (mode === 'read') return file;
    if (mode === 'create') this.#contents.set(path, Buffer.alloc(0));
    const { write, fill, sync } = {
      write: file.write.bind(file),
      fill: file.fill.bind(file),
      sync: file.sync.bind(file),
    };
    file.write = (buffer, start, bytes, position, done) => {
      const running = { path, bytes: buffer.subarray(start, start + bytes), position };
      this.#running.add(running);
      write(buffer, start, bytes, position, (error) => {
        this.#running.delete(running);
        if (error === null) this.#apply(running);
        done(error);
      });
    };
    file.fill = async (zeros, position) => {
      await fill(zeros, position);
      this.#filled.push({ path, bytes: zeros, position });
    };
    file.sync = async () => {
      const covered = this.#filled.filter((write) => write.path === path);
      await sync();
      for (const write of covered) {
        this.#apply(write);
        this.#filled.splice(this.#filled.indexOf(write), 1);
      }
    };
    return file;
  }

  override async remove(path: string): Promise<void> {
    await super.remove(path);
    this.#removed.add(path);
  }

  override async syncDirectory(path: string): Promise<void> {
    const made = [...this.#contents.keys()].filter((file) => dirname(file) === path);
    const removed = [...this.#removed].filter((file) => dirname(file) === path);
    await super.syncDirectory(path);
    for (const file of made) if (this.#contents.has(file)) this.#linked.add(file);
    for (const file of removed) {
      this.#linked.delete(file);
      this.#contents.delete(file);
      this.#removed.delete(file);
    }
  }

  override async replace(path: string, content: Buffer): Promise<void> {
    await super.replace(path, content);
    this.#contents.set(path, Buffer.from(content));
    this.#linked.add(path);
  }

  #apply({ path, bytes, position }: Write): void {
    const content = this.#contents.get(path);
    if (content !== undefined) this.#contents.set(path, put(content, bytes, position));
  }

  #tear(content: Buffer, { bytes, position }: Write): Buffer {
    let torn = content;
    for (let at = 0; at < bytes.length; at += sectorBytes) {
      if (Math.random() < 0.5) continue;
      torn = put(torn, bytes.subarray(at, at + sectorBytes), position + at);
    }
    return torn;
  }
}

function put(content: Buffer, bytes: Buffer, position: number): Buffer {
  let target = content;
  if (position + bytes.length > content.length) {
    target = Buffer.alloc(position + bytes.length);
    content.copy(target);
  }
  bytes.copy(target, position);
  return target;
}
