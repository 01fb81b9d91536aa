// Schemas that several routes share. They check what comes in, and describe what goes out.

export const text = { type: 'string' } as const;
export const count = { type: 'integer', minimum: 0 } as const;
export const flag = { type: 'boolean' } as const;
export const qos = { type: 'integer', minimum: 0, maximum: 2 } as const;
export const orNull = <const T extends string>(
  type: T,
): { readonly type: readonly [T, 'null'] } => ({
  type: [type, 'null'],
});
export const listOf = <const T>(items: T): { readonly type: 'array'; readonly items: T } => ({
  type: 'array',
  items,
});

type Properties = Readonly<Record<string, object>>;

/** An answer: all its properties are there. */
export const record = (properties: Properties): object => ({
  type: 'object',
  required: Object.keys(properties),
  properties,
});

/** Query or body: nothing else may be in it. */
export const given = (properties: Properties, required: readonly string[] = []): object => ({
  type: 'object',
  additionalProperties: false,
  ...(required.length === 0 ? {} : { required }),
  properties,
});

export const pageMax = 1000;

const cursorAbout = 'Page behind the one that gave this as "next"';

/** Query of a list; `after` is the name that `cursor` had before. */
export const pageQuery = (further: Properties = {}, cursor: object = text): object =>
  given({
    limit: { type: 'integer', minimum: 1, maximum: pageMax, default: 100 },
    cursor: { ...cursor, description: cursorAbout },
    after: { ...cursor, description: 'The same as cursor', deprecated: true },
    ...further,
  });

/** Answer of a list: `next` is the cursor of the next page, null on the last one. */
export const pageOf = (name: string, items: object): object =>
  record({ [name]: listOf(items), next: orNull('string') });

export interface PageQuery {
  limit: number;
  cursor?: string;
  after?: string;
}

export const cursorOf = ({ cursor, after }: PageQuery): string | undefined => cursor ?? after;

export const one = (about: string): object => ({
  type: 'object',
  required: ['id'],
  properties: { id: { type: 'string', description: about } },
});

export const done = { type: 'null', description: 'Done' } as const;
