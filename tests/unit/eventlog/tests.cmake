cordon_test(eventlog event cordon_eventlog)
cordon_test(eventlog samba cordon_eventlog)
cordon_test(eventlog tail cordon_eventlog)
