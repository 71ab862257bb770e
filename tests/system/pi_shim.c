/* Preloaded for libcamera's virtual camera: Linux hands out dma-bufs from /dev/dma_heap and /dev/udmabuf, which a
 * machine without a camera may lack. Memory of the process does as well: a buffer then is a memfd. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int stands_for_a_heap(const char *path)
{
    return path && (!strcmp(path, "/dev/udmabuf") || !strncmp(path, "/dev/dma_heap/", 14));
}

static int open_at(int folder, const char *path, int flags, mode_t mode)
{
    static int (*real)(int, const char *, int, ...);
    if (!real)
        real = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat");
    return real(folder, stands_for_a_heap(path) ? "/dev/null" : path, flags, mode);
}

#define MODE(flags)                                     \
    mode_t mode = 0;                                    \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {            \
        va_list more;                                   \
        va_start(more, flags);                          \
        mode = va_arg(more, mode_t);                    \
        va_end(more);                                   \
    }

int open(const char *path, int flags, ...)
{
    MODE(flags)
    return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE(flags)
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    MODE(flags)
    return open_at(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...)
{
    MODE(flags)
    return open_at(folder, path, flags, mode);
}

static int new_heap_buffer(struct dma_heap_allocation_data *wanted)
{
    int fd = memfd_create("dma-heap", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)wanted->len) < 0)
        return -1;
    wanted->fd = (unsigned int)fd;
    return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
    static int (*real)(int, unsigned long, ...);
    va_list more;
    va_start(more, request);
    void *argument = va_arg(more, void *);
    va_end(more);
    request &= 0xffffffffUL;
    if (request == UDMABUF_CREATE)
        return dup((int)((struct udmabuf_create *)argument)->memfd);
    if (request == DMA_HEAP_IOCTL_ALLOC)
        return new_heap_buffer(argument);
    if (_IOC_TYPE(request) == DMA_BUF_BASE && _IOC_NR(request) <= 1) /* sync, and the name in both its sizes */
        return 0;
    if (!real)
        real = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
    return real(fd, request, argument);
}
