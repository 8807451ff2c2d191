// @ts-check
// The items of a query as a collection of TanStack DB.
/** @import { ViewState } from "deltalink" */

import { checkQuery } from "./error.js";

/** @type {typeof import("./tanstack-db.js").deltaCollectionOptions} */
export function deltaCollectionOptions(given) {
  const { query, live = true, occurrences, ...options } = given ?? {};
  checkQuery(query, "deltaCollectionOptions()");
  return {
    id: `deltalink | ${query.key}`,
    ...options,
    getKey: ({ id }) => /** @type {string} */ (id),
    sync: {
      rowUpdateMode: "full",
      sync({ begin, write, commit, markReady }) {
        /** The items of the collection, by id. A view gives all items, not the changes. */
        let rows = new Map();
        /** @param {ViewState<any>} state */
        const update = ({ items, ready, error }) => {
          // A closed client has no rows: those of an account that has signed out are removed.
          if (ready || error?.code === "closed") {
            const before = rows;
            rows = new Map(items.map((item) => [item.id, item]));
            begin();
            for (const [id, value] of rows) {
              const previousValue = before.get(id);
              if (previousValue === undefined) write({ type: "insert", value });
              else if (previousValue !== value) write({ type: "update", value, previousValue });
            }
            for (const [id, value] of before) if (!rows.has(id)) write({ type: "delete", value });
            commit();
          }
          // Queries over an unreadable store must not wait forever; the status shows the error.
          if (ready || error) markReady();
        };
        const view = query.view(occurrences && { occurrences });
        const unsubscribe = view.subscribe(update);
        const handle = live ? query.live(live === true ? {} : live) : undefined;
        return () => {
          handle?.stop();
          unsubscribe();
        };
      },
    },
  };
}
