/* base/sm.h -- legal moves are data: each move is checked and traced.
 *
 *   static const struct sm_state states[] = {
 *       [OPEN] = {"open", SM_TO(BUSY) | SM_ENDS}, [BUSY] = {"busy", SM_TO(OPEN) | SM_ENDS} };
 */
#ifndef CORDON_BASE_SM_H
#define CORDON_BASE_SM_H

#include <stdint.h>

struct sm_state {
    const char *name;
    uint64_t to; /* SM_TO(x) | SM_TO(y) */
};

#define SM_TO(state) (UINT64_C(1) << (state))

/* Move *state to next; a move that the table does not allow is our bug and aborts. */
void sm_move(const struct sm_state *table, unsigned count, int *state, int next, const char *what);

#endif
