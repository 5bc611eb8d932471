package fanout

import "syscall"

// offerProcessor lets threads run that the kernel has ready for this processor, such as one that has just been woken by a
// publisher. With nobody waiting it costs a tenth of a microsecond.
func offerProcessor() { _, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }
