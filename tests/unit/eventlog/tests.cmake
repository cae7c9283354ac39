cordon_test(eventlog event cordon_eventlog)
