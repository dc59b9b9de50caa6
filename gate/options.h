/* options.h - the gate's settings: flags, file and environment fill struct gate_options. */
#pragma once

#include "common/conf.h"
#include "gate/gate.h"

extern const struct conf_table gate_conf;
