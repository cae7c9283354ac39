/* base/winrm_shell.h -- run one fixed script in Windows PowerShell on a host (MS-WSMV shell,
 * WinRS).
 *
 * Create, Command, Receive until Done, Signal, Delete; the shell is deleted whatever happens.
 * Command is never repeated: where its answer is lost, the end is ERR_UNPROVEN.
 */
#ifndef CORDON_BASE_WINRM_SHELL_H
#define CORDON_BASE_WINRM_SHELL_H

#include "base/winrm.h"

struct winrm_run;

enum { WINRM_OUTPUT_MAX = 256 * 1024 }; /* of each stream; more is cut and said */

struct winrm_ran { /* borrowed during the callback */
    const char *out,
        *err_out; /* UTF-8 as it came, NUL behind; CLIXML progress taken out of err_out */
    size_t out_len, err_len;
    bool truncated;
    bool has_exit; /* false: it could not be run */
    int32_t exit_code;
};
/* `script`: a constant text of this program, nothing from outside in it; sent as -EncodedCommand
 * (UTF-16LE, base64; 8,191 characters at most). all_ms: for the script and what it takes to
 * get there; ending and deleting may come on top, a minute at most. e: as winrm_cb; ERR_UNPROVEN:
 * it may have run; ERR_TIMEOUT: it runs longer than all_ms (it was told to end); any other: it has
 * not run. */
typedef void (*winrm_ran_cb)(void *arg, const struct winrm_ran *r, const struct err *e);
int winrm_run_start(struct winrm *w, const char *script, uint64_t all_ms, winrm_ran_cb cb,
                    void *arg, struct winrm_run **ret_run, struct err *e);
/* Ends it at once: its callback is never made. A command may still run on; its shell is left to its
 * idle time. NULL is fine. */
void winrm_run_abandon(struct winrm_run *r);

/* Can a shell be made at all (rights, quota)? Creates one and deletes it. For doctor. */
int winrm_shell_probe_start(struct winrm *w, winrm_ran_cb cb, void *arg, struct winrm_run **ret_run,
                            struct err *e);

#endif
