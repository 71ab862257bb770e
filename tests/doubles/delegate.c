/* A delegate for TFLite that takes libedgetpu's place: it infers the operators "edgetpu-custom-op" of a compiled model,
 * and does what a word in the file `told` says, which lies beside this library (no file: all is well):
 *
 *     refuse, abort-load, hang-load   when the delegate is created
 *     fail, abort, hang               at every inference; "abort 7": at the seventh of a process, and the file is gone
 *
 * Whoever hangs leaves a file `hangs`. An inference copies the first bytes of the input into the floats of the output.
 * The structures are those of TensorFlow Lite's tensorflow/lite/core/c/common.h, as far as they are used here.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <libgen.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, ERROR = 1 };
enum { ALLOW_DYNAMIC_TENSORS = 1 };

struct ints { int size; int data[]; };
struct context;
struct delegate;

struct tensor {
    int type;
    void *data;
    struct ints *dims;
    struct { float scale; int32_t zero_point; } params;
    int allocation_type;
    size_t bytes;
    const void *allocation;
    const char *name;
    struct delegate *delegate;
    int buffer_handle;
    _Bool data_is_stale, is_variable;
    struct { int type; void *params; } quantization;
    void *sparsity;
    const struct ints *dims_signature;
};

struct node { struct ints *inputs, *outputs; };

struct registration {
    void *(*init)(struct context *, const char *, size_t);
    void (*free)(struct context *, void *);
    int (*prepare)(struct context *, struct node *);
    int (*invoke)(struct context *, struct node *);
    const char *(*profiling_string)(const struct context *, const struct node *);
    int32_t builtin_code;
    const char *custom_name;
    int version;
    void *registration_external;
    void *async_kernel;
    uint64_t inplace_operator;
};

struct context {
    size_t tensors_size;
    int (*get_execution_plan)(struct context *, struct ints **);
    struct tensor *tensors;
    void *impl;
    int (*resize_tensor)(struct context *, struct tensor *, struct ints *);
    void (*report_error)(struct context *, const char *, ...);
    int (*add_tensors)(struct context *, int, int *);
    int (*get_node_and_registration)(struct context *, int, struct node **, struct registration **);
    int (*replace_nodes)(struct context *, struct registration, const struct ints *, struct delegate *);
};

struct delegate {
    void *data;
    int (*prepare)(struct context *, struct delegate *);
    void *copy_from_buffer_handle, *copy_to_buffer_handle, *free_buffer_handle;
    int64_t flags;
    void *opaque_delegate_builder;
};

static int inferences;

static const char *beside(const char *name)
{
    static char path[4096];
    char library[4096];
    Dl_info info;
    if (!dladdr(&inferences, &info))
        return "";
    snprintf(library, sizeof library, "%s", info.dli_fname);
    snprintf(path, sizeof path, "%s/%s", dirname(library), name);
    return path;
}

static int told(const char *word)
{
    char found[32] = "";
    int when = 0;
    FILE *file = fopen(beside("told"), "r");
    if (!file)
        return 0;
    int count = fscanf(file, "%31s %d", found, &when);
    fclose(file);
    if (count < 1 || strcmp(found, word) != 0)
        return 0;
    if (count == 2 && when == inferences)
        unlink(beside("told"));
    return count == 1 || when == inferences;
}

static void hang(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    FILE *mark = fopen(beside("hangs"), "w");
    if (mark)
        fclose(mark);
    for (;;)
        pause();
}

static int kernel_prepare(struct context *context, struct node *node)
{
    return OK;
}

static int kernel_invoke(struct context *context, struct node *node)
{
    struct tensor *in = &context->tensors[node->inputs->data[0]];
    struct tensor *out = &context->tensors[node->outputs->data[0]];
    inferences++;
    if (told("abort"))
        abort();
    if (told("hang"))
        hang();
    if (told("fail")) {
        context->report_error(context, "the device is gone");
        return ERROR;
    }
    for (size_t at = 0; at < out->bytes / sizeof(float); at++)
        ((float *)out->data)[at] = ((uint8_t *)in->data)[at % in->bytes];
    return OK;
}

static int take_nodes(struct context *context, struct delegate *delegate)
{
    struct ints *plan, *taken;
    struct registration kernel = {.prepare = kernel_prepare, .invoke = kernel_invoke, .custom_name = "Double", .version = 1};
    if (context->get_execution_plan(context, &plan) != OK)
        return ERROR;
    taken = calloc(1, sizeof *taken + plan->size * sizeof(int));
    for (int at = 0; at < plan->size; at++) {
        struct node *node;
        struct registration *found;
        if (context->get_node_and_registration(context, plan->data[at], &node, &found) != OK)
            return ERROR;
        if (found->custom_name && strcmp(found->custom_name, "edgetpu-custom-op") == 0)
            taken->data[taken->size++] = plan->data[at];
    }
    int status = context->replace_nodes(context, kernel, taken, delegate);
    free(taken);
    return status;
}

struct delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *))
{
    if (told("abort-load"))
        abort();
    if (told("hang-load"))
        hang();
    if (told("refuse")) {
        report("no device");
        return NULL;
    }
    struct delegate *delegate = calloc(1, sizeof *delegate);
    delegate->prepare = take_nodes;
    delegate->flags = ALLOW_DYNAMIC_TENSORS; /* else the runtime prepares operators that only we know */
    return delegate;
}

void tflite_plugin_destroy_delegate(struct delegate *delegate)
{
    free(delegate);
}
