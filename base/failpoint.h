/* base/failpoint.h -- named places where a test may kill us or make a call fail.
 *
 *   CORDON_FAILPOINT="commit:3:kill,send:1:fail"     name : n-th hit : action
 *
 *   kill   raise SIGKILL at the n-th hit: nothing of ours runs after that
 *   fail   failpoint_hit says true at the n-th hit: the caller takes its failing way
 *
 * Names: "commit-before" (a batch is about to be written), "commit" (it is on disk), "send" (a
 * request just went out), "landlock", "seccomp" (the kernel has none). In builds without
 * CORDON_FAILPOINTS nothing of this exists, not even the names: the macro drops its argument
 * (checklist U5).
 */
#ifndef CORDON_BASE_FAILPOINT_H
#define CORDON_BASE_FAILPOINT_H

#include <stdbool.h>

#ifdef CORDON_FAILPOINTS

/* Count one hit of `name`. True: behave as if this had failed. */
bool failpoint_hit(const char *name);

/* Replace what the environment asked for and begin to count anew; NULL or "": none. The
 * environment itself is read before main, so that a program may clean it. A text that cannot be
 * understood ends the program: a test must never pass because of a misspelt failpoint. */
void failpoint_set(const char *spec);

#else
#define failpoint_hit(name) (false)
#endif

#endif
