/** The versions of the standard operators that are read: the help, docs/OPS.md and the importer take them from here. */

/** The oldest and the newest version whose operators the records were written against. */
export const readOpsets = { from: 7, to: 28 } as const;
