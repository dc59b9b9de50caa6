/* lock_graph.h - abseil, under libgrpc, can look for deadlocks among its mutexes, and in Debian's
 * build does: it keeps a graph of all locks taken together, behind one lock of its own. That is a
 * tenth of the instructions of a call. */
#pragma once

#include <dlfcn.h>

#define LOCK_GRAPH_SET_MODE "_ZN4absl7debian329SetMutexDeadlockDetectionModeENS0_15OnDeadlockCycleE"

#ifdef SHOAL_STATIC_GRPC
void lock_graph_set_mode(int mode) __asm__(LOCK_GRAPH_SET_MODE);
#endif

/* Before grpc_init(). Does nothing with another version of abseil, whose functions have other
 * names. Any thread. */
static inline void lock_graph_stop(void)
{
        /* absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore) */
#ifdef SHOAL_STATIC_GRPC
        lock_graph_set_mode(0);
#else
        void (*set_mode)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, LOCK_GRAPH_SET_MODE);

        if (set_mode)
                set_mode(0);
#endif
}
