/* rules.c - all rules hold. */
#include "txn/rules_int.h"

uint64_t txn_suspended_rules;
