/* agent/commands.h -- the subcommands: one table, from which the help is printed too. */
#ifndef CORDON_AGENT_COMMANDS_H
#define CORDON_AGENT_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "config/config.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns the exit code */
    const char *args;
    const char *help;
};
extern const struct command commands[];
extern const size_t command_count;

int cmd_action(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_cases(int argc, char **argv);
int cmd_case(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_audit(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_query(int argc, char **argv);
int cmd_risky(int argc, char **argv);
int cmd_winrm(int argc, char **argv);
int cmd_defender(int argc, char **argv);
int cmd_key(int argc, char **argv);
int cmd_submit(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_pending(int argc, char **argv);
int cmd_decide(int argc, char **argv); /* approve, decline */
int cmd_brake(int argc, char **argv);
int cmd_metrics(int argc, char **argv);
int cmd_log_level(int argc, char **argv);

/* Take up an unfinished case where it was (cmd_action.c). */
int cmd_resume(const char *prefix, bool json, bool as_agent);

/* --- shared by the commands ---------------------------------------------------------------- */
const char *cmd_config_path(void); /* CORDON_CONFIG, or the default */
/* Load the configuration and set up logging and Kerberos by it. On failure tells on stderr and
 * returns the exit code (78); else 0. */
int cmd_load(struct cfg **ret_cfg);
/* Our state directory: CORDON_STATE, the service's STATE_DIRECTORY, /var/lib/cordon where that is
 * ours, or ~/.local/state/cordon. */
int cmd_state_dir(char *buf, size_t size, struct err *e);
/* The service's socket, by one rule for the service and who asks it: CORDON_SOCKET, as configured
 * (cfg: NULL where it cannot be read), or control.sock in RUNTIME_DIRECTORY, in /run/cordon where
 * that may be written and CORDON_STATE is not set, in the state directory. */
int cmd_socket_path(const struct cfg *cfg, char *buf, size_t size, struct err *e);
/* The domain for `wanted` (NULL: the first configured). */
const struct cfg_domain *cmd_domain(const struct cfg *cfg, const char *wanted, struct err *e);
/* --dc HOST: a DNS name (no address) that is listed in the configuration or ends in the domain. */
int cmd_check_dc(const char *host, const struct cfg_domain *domain, struct err *e);
/* "cordon disable: text" on stderr; returns code. */
int cmd_fail(const char *command, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The exit code for an error outside of any case. */
int cmd_exit_for(const struct err *e);
/* The same where what may be missing is a file that was named, not an account. Always -1. */
int cmd_file_failed(struct err *e, const char *path);
void cmd_help(const char *name); /* the help of one command, on stdout */

#endif
