/* A PKCS#11 module that passes everything on to another one, except for the faults asked for.
 *
 * KEYS_TEST_MODULE is the other module. Files in the directory KEYS_TEST_FAULTS are the switches:
 *   unplugged   there is no token; its sessions end
 *   stuck       C_Sign does not return
 *   flip        one bit of each signature is flipped
 * Files there count calls, one byte each: initialised, logins, signatures. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long ulong;
#define DEVICE_REMOVED 0x32UL
enum {
    INITIALIZE = 0, GET_FUNCTION_LIST = 3, GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, OPEN_SESSION = 12,
    CLOSE_SESSION = 13, CLOSE_ALL_SESSIONS = 14, LOGIN = 18, GET_ATTRIBUTE_VALUE = 24,
    FIND_OBJECTS_INIT = 26, FIND_OBJECTS = 27, FIND_OBJECTS_FINAL = 28, DECRYPT = 34, SIGN_INIT = 42,
    SIGN = 43, FUNCTIONS = 68
};
struct list { unsigned char version[2]; void *functions[FUNCTIONS]; };
static struct list *real, proxy;

static void path(char *out, size_t size, const char *name) {
    snprintf(out, size, "%s/%s", getenv("KEYS_TEST_FAULTS"), name);
}
static int on(const char *name) {
    char file[512];
    path(file, sizeof file, name);
    return access(file, F_OK) == 0;
}
static void count(const char *name) {
    char file[512];
    path(file, sizeof file, name);
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0) {
        if (write(fd, "x", 1) != 1) abort();
        close(fd);
    }
}
/* Sessions end while nobody is inside the module behind: SoftHSM frees what other threads still use. */
static pthread_rwlock_t inside = PTHREAD_RWLOCK_INITIALIZER;

/* What pulling a token out does to the module behind: all its sessions end, and the login with them. */
static int unplugged(void) {
    if (!on("unplugged")) return 0;
    ulong slots[16], n = 16;
    pthread_rwlock_wrlock(&inside);
    if (((ulong (*)(unsigned char, ulong *, ulong *))real->functions[GET_SLOT_LIST])(1, slots, &n) == 0)
        for (ulong i = 0; i < n; i++)
            ((ulong (*)(ulong))real->functions[CLOSE_ALL_SESSIONS])(slots[i]);
    pthread_rwlock_unlock(&inside);
    return 1;
}

/* Passes a call on, unless the token is unplugged. */
#define PASS_ON(index, types, arguments)                                   \
    if (unplugged()) return DEVICE_REMOVED;                                \
    pthread_rwlock_rdlock(&inside);                                        \
    ulong result = ((ulong (*) types)real->functions[index]) arguments;    \
    pthread_rwlock_unlock(&inside)

static ulong initialize(void *args) {
    count("initialised");
    return ((ulong (*)(void *))real->functions[INITIALIZE])(args);
}
static ulong get_slot_list(unsigned char present, ulong *slots, ulong *n) {
    if (unplugged()) { *n = 0; return 0; }
    return ((ulong (*)(unsigned char, ulong *, ulong *))real->functions[GET_SLOT_LIST])(present, slots, n);
}
static ulong get_token_info(ulong slot, void *info) {
    PASS_ON(GET_TOKEN_INFO, (ulong, void *), (slot, info));
    return result;
}
static ulong open_session(ulong slot, ulong flags, void *app, void *notify, ulong *session) {
    PASS_ON(OPEN_SESSION, (ulong, ulong, void *, void *, ulong *), (slot, flags, app, notify, session));
    return result;
}
static ulong close_session(ulong session) {
    PASS_ON(CLOSE_SESSION, (ulong), (session));
    return result;
}
static ulong login(ulong session, ulong user, void *pin, ulong length) {
    count("logins");
    PASS_ON(LOGIN, (ulong, ulong, void *, ulong), (session, user, pin, length));
    return result;
}
static ulong get_attribute_value(ulong session, ulong object, void *template, ulong n) {
    PASS_ON(GET_ATTRIBUTE_VALUE, (ulong, ulong, void *, ulong), (session, object, template, n));
    return result;
}
static ulong find_objects_init(ulong session, void *template, ulong n) {
    PASS_ON(FIND_OBJECTS_INIT, (ulong, void *, ulong), (session, template, n));
    return result;
}
static ulong find_objects(ulong session, ulong *objects, ulong most, ulong *n) {
    PASS_ON(FIND_OBJECTS, (ulong, ulong *, ulong, ulong *), (session, objects, most, n));
    return result;
}
static ulong find_objects_final(ulong session) {
    PASS_ON(FIND_OBJECTS_FINAL, (ulong), (session));
    return result;
}
static ulong decrypt(ulong session, void *in, ulong n, void *out, ulong *m) {
    PASS_ON(DECRYPT, (ulong, void *, ulong, void *, ulong *), (session, in, n, out, m));
    if (out) count("decryptions");
    return result;
}
static ulong sign_init(ulong session, void *mechanism, ulong key) {
    PASS_ON(SIGN_INIT, (ulong, void *, ulong), (session, mechanism, key));
    return result;
}
static ulong sign(ulong session, void *data, ulong length, unsigned char *signature, ulong *n) {
    while (on("stuck")) usleep(1000);
    PASS_ON(SIGN, (ulong, void *, ulong, unsigned char *, ulong *), (session, data, length, signature, n));
    if (result == 0 && signature) {
        count("signatures");
        if (on("flip")) signature[*n - 1] ^= 1;
    }
    return result;
}
ulong C_GetFunctionList(struct list **out) {
    if (!real) {
        void *module = dlopen(getenv("KEYS_TEST_MODULE"), RTLD_NOW | RTLD_LOCAL);
        if (!module) return 5;
        ulong (*get)(struct list **);
        *(void **)&get = dlsym(module, "C_GetFunctionList");
        if (!get || get(&real) != 0) return 5;
        proxy = *real;
        proxy.functions[INITIALIZE] = initialize;
        proxy.functions[GET_FUNCTION_LIST] = C_GetFunctionList;
        proxy.functions[GET_SLOT_LIST] = get_slot_list;
        proxy.functions[GET_TOKEN_INFO] = get_token_info;
        proxy.functions[OPEN_SESSION] = open_session;
        proxy.functions[CLOSE_SESSION] = close_session;
        proxy.functions[LOGIN] = login;
        proxy.functions[GET_ATTRIBUTE_VALUE] = get_attribute_value;
        proxy.functions[FIND_OBJECTS_INIT] = find_objects_init;
        proxy.functions[FIND_OBJECTS] = find_objects;
        proxy.functions[FIND_OBJECTS_FINAL] = find_objects_final;
        proxy.functions[DECRYPT] = decrypt;
        proxy.functions[SIGN_INIT] = sign_init;
        proxy.functions[SIGN] = sign;
    }
    *out = &proxy;
    return 0;
}
