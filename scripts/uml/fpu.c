/* Preloaded into User-Mode Linux, so that it runs where a processor has more registers than it knows.
 *
 * The guest kernel keeps 2,696 bytes of each process's extended state and sets them with PTRACE_SETREGSET,
 * which the host refuses (EFAULT) unless all of the state is there. With AMX that is 11,008 bytes, and
 * the guest dies before its first process. Here its bytes are put in front of those that the process has.
 *
 * One buffer will do: the guest has one processor, and its kernel is not preempted between the two calls.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

static char state[1 << 16];

long ptrace(enum __ptrace_request request, ...) {
  static long (*next)(enum __ptrace_request, ...);
  va_list rest;
  va_start(rest, request);
  int child = va_arg(rest, int);
  void *address = va_arg(rest, void *);
  void *data = va_arg(rest, void *);
  va_end(rest);
  if (next == NULL) {
    next = (long (*)(enum __ptrace_request, ...))dlsym(RTLD_NEXT, "ptrace");
  }
  if (request == PTRACE_SETREGSET && (long)address == NT_X86_XSTATE) {
    const struct iovec *given = data;
    struct iovec whole = {state, sizeof state};
    if (next(PTRACE_GETREGSET, child, address, &whole) == 0 && whole.iov_len > given->iov_len) {
      memcpy(state, given->iov_base, given->iov_len);
      return next(request, child, address, &whole);
    }
  }
  return next(request, child, address, data);
}
