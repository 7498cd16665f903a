/* The compiled core of graysplit: the straight lines of a decision, executed on the state that Python has compiled.

   Python keeps all policy. What is not the straight line (a rung above the hash, an unusual unit, a context with more
   to look at, whatever raises) is left to the Python slow path: then nothing has been counted and nothing kept. Reading
   order: murmur3, the state's fields, what a hash or a context says, then who asks: a handle, by name, a route.

   Limited API of Python 3.11, but for free-threaded builds. No thread, no I/O, no state but the module's. */

#if !defined(Py_GIL_DISABLED) && !defined(Py_LIMITED_API)
#define Py_LIMITED_API 0x030B0000
#endif
#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE /* RTLD_DEFAULT */
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <structmember.h>
#ifndef _WIN32
#include <dlfcn.h>
#endif

#define NEAR 25 /* as graysplit.core.compiled.NEAR */
#define BASELINE 0
#define ENTRIES 16 /* what a context keeps of its own unit is one object for each of so many versions */
#define KEPT_AT_MOST 1000 /* as graysplit.scope.KEPT_AT_MOST */
#define SLOW (-1)    /* an index: the Python slow path decides */
#define RAISED (-2)  /* what is no Exception passes through, as in Python */
#define DIGITS 24    /* room for a 64-bit integer's decimal digits */

typedef struct {
    PyTypeObject *count, *state, *part, *buffer, *handle, *name;
    PyTypeObject *compiled; /* the class of the first state that was met, known to derive from `state` */
    PyObject *missing, *scope, *scope_get, *clock; /* NULL until connect(): until then all is left to Python */
    PyObject *entries[ENTRIES];
    PyObject *slow; /* the outcome of whatever is not on the straight line */
    int (*read_variable)(PyObject *, PyObject *, PyObject **); /* PyContextVar_Get, or NULL */
    PyObject *str_append, *str_attributes, *str_ask, *str_draw, *str_due, *str_its_unit, *str_monotonic, *str_resolve,
        *str_split, *str_states, *str_straight, *str_unit, *str_version;
    int listened; /* whether somebody is told of each version that a context takes: Python tells them */
} Core;

#define DEFINITIONS 3
static PyModuleDef definitions[DEFINITIONS];

/* The module's state, from an object's type: Python classes derive from ours. */
static Core *core_of(PyTypeObject *type) {
    while (type != NULL) {
        PyObject *module = PyType_GetModule(type);
        if (module == NULL)
            PyErr_Clear();
        else {
            PyModuleDef *definition = PyModule_GetDef(module);
            if (definition >= definitions && definition < definitions + DEFINITIONS)
                return PyModule_GetState(module);
        }
        type = PyType_GetSlot(type, Py_tp_base);
    }
    PyErr_SetString(PyExc_SystemError, "graysplit_speed: a class of another module");
    return NULL;
}

/* Forget an error of ours and of units, which the slow path answers; what is no Exception passes through. */
static int left_to_python(void) {
    if (PyErr_Occurred() == NULL)
        return SLOW;
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return RAISED;
    PyErr_Clear();
    return SLOW;
}

/* A new reference to what another thread may replace at any moment. */
static PyObject *taken(PyObject *owner, PyObject **place) {
    PyObject *value;
#ifdef Py_GIL_DISABLED
    Py_BEGIN_CRITICAL_SECTION(owner);
    value = Py_XNewRef(*place);
    Py_END_CRITICAL_SECTION();
#else
    (void)owner;
    value = *place;
    Py_XINCREF(value);
#endif
    return value;
}

/* A tuple's item, borrowed; NULL with an error where there is none. */
static PyObject *item(PyObject *tuple, Py_ssize_t at) {
    if (tuple != NULL)
        return PyTuple_GetItem(tuple, at);
    PyErr_SetString(PyExc_AttributeError, "a state that was never compiled");
    return NULL;
}

/* The open context, or None; a new reference. PyContextVar_Get is public and not in the limited API: it is looked up,
   which saves a fifth of a hash, and where it is not to be had the variable's own `get` is called. */
static PyObject *open_context(Core *core) {
    PyObject *found = NULL;
    if (core->read_variable == NULL)
        return PyObject_CallNoArgs(core->scope_get);
    return core->read_variable(core->scope, Py_None, &found) < 0 ? NULL : found;
}

/* murmur3, 32 bits, as mmh3.mmh3_32_uintdigest. */

static uint32_t rotated(uint32_t x, int by) { return (x << by) | (x >> (32 - by)); }

static uint32_t mixed(uint32_t k) { return rotated(k * 0xcc9e2d51u, 15) * 0x1b873593u; }

static uint32_t hash32(const unsigned char *data, Py_ssize_t size, uint32_t seed) {
    uint32_t h = seed, k = 0;
    Py_ssize_t at = 0;
    for (; at + 4 <= size; at += 4) {
        k = (uint32_t)data[at] | (uint32_t)data[at + 1] << 8 | (uint32_t)data[at + 2] << 16 |
            (uint32_t)data[at + 3] << 24;
        h = rotated(h ^ mixed(k), 13) * 5 + 0xe6546b64u;
    }
    k = 0;
    for (Py_ssize_t left = size - at; left > 0; left--)
        k = k << 8 | data[at + left - 1];
    if (at < size)
        h ^= mixed(k);
    h ^= (uint32_t)size;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}

/* Hash what is text or an integer and nothing else; 0: the slow path looks at it. */
static int unit_hash(PyObject *unit, uint32_t seed, uint32_t *hash) {
    if (PyUnicode_CheckExact(unit)) {
        Py_ssize_t size;
        const char *text = PyUnicode_AsUTF8AndSize(unit, &size);
        if (text == NULL) { /* a lone surrogate */
            PyErr_Clear();
            return 0;
        }
        *hash = hash32((const unsigned char *)text, size, seed);
        return size > 0;
    }
    if (PyLong_CheckExact(unit)) {
        char digits[DIGITS];
        int overflow, at = DIGITS;
        long long number = PyLong_AsLongLongAndOverflow(unit, &overflow);
        if (overflow)
            return 0;
        unsigned long long left = number < 0 ? 0 - (unsigned long long)number : (unsigned long long)number;
        do
            digits[--at] = (char)('0' + left % 10);
        while (left /= 10);
        if (number < 0)
            digits[--at] = '-';
        *hash = hash32((const unsigned char *)digits + at, DIGITS - at, seed);
        return 1;
    }
    return 0;
}

/* Count: exact beside other threads; Python reads it by next(), which takes a number of its own. */

typedef struct {
    PyObject_HEAD
    unsigned long long value;
} Count;

static unsigned long long bumped(Count *count) {
#if defined(Py_GIL_DISABLED) && defined(_MSC_VER)
    return (unsigned long long)_InterlockedIncrement64((volatile long long *)&count->value) - 1;
#elif defined(Py_GIL_DISABLED)
    return __atomic_fetch_add(&count->value, 1, __ATOMIC_RELAXED);
#else
    return count->value++;
#endif
}

static PyObject *count_next(PyObject *self) { return PyLong_FromUnsignedLongLong(bumped((Count *)self)); }

static PyObject *count_iter(PyObject *self) { return Py_NewRef(self); }

static void count_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyType_Slot count_slots[] = {
    {Py_tp_doc, "A count: next() gives how often it was asked or bumped before."},
    {Py_tp_iter, count_iter},
    {Py_tp_iternext, count_next},
    {Py_tp_dealloc, count_dealloc},
    {0, NULL},
};
static PyType_Spec count_spec = {"graysplit_speed.core.Count", sizeof(Count), 0, Py_TPFLAGS_DEFAULT, count_slots};

/* Types with fields that Python reads and writes like slots: all objects, one after another behind `core`. */

typedef struct {
    PyObject_HEAD
    Core *core;
    PyObject *fields[1];
} Fields;

#define OBJECTS(Type, first) ((Py_ssize_t)((sizeof(Type) - offsetof(Type, first)) / sizeof(PyObject *)))
#define FIELD(Type, name) {#name, T_OBJECT_EX, offsetof(Type, name), 0, NULL}

static PyObject *fields_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)args, (void)kwargs;
    Core *core = core_of(type);
    if (core == NULL)
        return NULL;
    PyObject *self = ((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (self != NULL)
        ((Fields *)self)->core = core;
    return self;
}

static void fields_free(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

#define COLLECTED(Type, prefix, first)                                                                \
    static int prefix##_traverse(PyObject *self, visitproc visit, void *arg) {                       \
        Py_VISIT(Py_TYPE(self));                                                                      \
        PyObject **fields = &((Type *)self)->first;                                                   \
        for (Py_ssize_t at = 0; at < OBJECTS(Type, first); at++)                                      \
            Py_VISIT(fields[at]);                                                                     \
        return 0;                                                                                     \
    }                                                                                                 \
    static int prefix##_clear(PyObject *self) {                                                       \
        PyObject **fields = &((Type *)self)->first;                                                   \
        for (Py_ssize_t at = 0; at < OBJECTS(Type, first); at++)                                      \
            Py_CLEAR(fields[at]);                                                                     \
        return 0;                                                                                     \
    }                                                                                                 \
    static void prefix##_dealloc(PyObject *self) {                                                    \
        PyObject_GC_UnTrack(self);                                                                    \
        prefix##_clear(self);                                                                         \
        fields_free(self);                                                                            \
    }

/* A type whose `prefix_members` are read; more slots may follow. */
#define KIND(Type, prefix, name, ...)                                                                 \
    static PyType_Slot prefix##_slots[] = {                                                           \
        {Py_tp_new, fields_new},        {Py_tp_members, prefix##_members},                            \
        {Py_tp_traverse, prefix##_traverse}, {Py_tp_clear, prefix##_clear},                           \
        {Py_tp_dealloc, prefix##_dealloc},   __VA_ARGS__ {0, NULL},                                   \
    };                                                                                                \
    static PyType_Spec prefix##_spec = {                                                              \
        "graysplit_speed.core." name, sizeof(Type), 0,                                                \
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, prefix##_slots}

/* HotState: what the straight lines read of a split's state; see graysplit.core.hot_state. */

typedef struct {
    PyObject_HEAD
    Core *core;
    unsigned long long threshold;
    unsigned int seed;
    PyObject *special, *pinned, *pin_marks, *runs, *near, *ends, *target_of, *targets, *picks, *split, *names, *started, *finished, *old, *new,
        *c_old, *c_new, *d_old, *d_new, *key, *quick, *buffer;
} State;

COLLECTED(State, state, special)

static PyMemberDef state_members[] = {
    {"threshold", T_ULONGLONG, offsetof(State, threshold), 0, NULL},
    {"seed", T_UINT, offsetof(State, seed), 0, NULL},
    FIELD(State, special), FIELD(State, pinned), FIELD(State, pin_marks), FIELD(State, runs), FIELD(State, near), FIELD(State, ends),
    FIELD(State, target_of), FIELD(State, targets), FIELD(State, picks), FIELD(State, split), FIELD(State, names),
    FIELD(State, started), FIELD(State, finished), FIELD(State, old), FIELD(State, new), FIELD(State, c_old), FIELD(State, c_new),
    FIELD(State, d_old), FIELD(State, d_new), FIELD(State, key), FIELD(State, quick), FIELD(State, buffer),
    {NULL, 0, 0, 0, NULL},
};
KIND(State, state, "HotState", );

/* HotPart and HotBuffer: where the calls of an armed split are written down. */

typedef struct {
    PyObject_HEAD
    Core *core;
    PyObject *timed, *begun, *ended, *sampled, *thin;
} Part;

COLLECTED(Part, part, timed)

static PyMemberDef part_members[] = {
    FIELD(Part, timed), FIELD(Part, begun), FIELD(Part, ended), FIELD(Part, sampled), FIELD(Part, thin),
    {NULL, 0, 0, 0, NULL},
};
KIND(Part, part, "HotPart", );

typedef struct {
    PyObject_HEAD
    Core *core;
    PyObject *current;
} Buffer;

COLLECTED(Buffer, buffer, current)

static PyMemberDef buffer_members[] = {FIELD(Buffer, current), {NULL, 0, 0, 0, NULL}};
KIND(Buffer, buffer, "HotBuffer", );

static State *as_state(Core *core, PyObject *object) {
    if (object == NULL || (Py_TYPE(object) != core->compiled && !PyObject_TypeCheck(object, core->state)))
        return NULL;
    if (core->compiled == NULL)
        core->compiled = (PyTypeObject *)Py_NewRef((PyObject *)Py_TYPE(object));
    return (State *)object;
}

/* What a hash says. Borrowed references here are to objects that a published state holds: it never changes. */

/* The owner's place among `ends` and `target_of`; SLOW where the state is not what Python compiles. */
static Py_ssize_t place_of(State *state, uint32_t hash) {
    PyObject *near = item(state->near, (Py_ssize_t)(hash >> NEAR));
    if (near == NULL)
        return SLOW;
    Py_ssize_t low = PyLong_AsSsize_t(near);
    if (low >= 0 || PyErr_Occurred())
        return low;
    Py_ssize_t high = PyTuple_Size(state->runs);
    for (low = 0; low < high;) { /* bisect_right */
        Py_ssize_t middle = (low + high) / 2;
        unsigned long long bound = PyLong_AsUnsignedLongLong(item(state->runs, middle));
        if (hash < bound)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static int count_in(Core *core, PyObject *count) {
    if (count == NULL || Py_TYPE(count) != core->count)
        return 0;
    bumped((Count *)count);
    return 1;
}

enum Answer { VERSION = 1, DECISION = 2 }; /* their places in an item of `ends` */

/* The version or decision for a hash, counted; borrowed. NULL: the slow path decides. */
static PyObject *hash_answer(Core *core, State *state, uint32_t hash, enum Answer answer) {
    if (hash < state->threshold) {
        PyObject *found = answer == VERSION ? state->new : state->d_new;
        return found != NULL && count_in(core, state->c_new) ? found : NULL;
    }
    if (state->runs == Py_None) {
        PyObject *found = answer == VERSION ? state->old : state->d_old;
        return found != NULL && count_in(core, state->c_old) ? found : NULL;
    }
    Py_ssize_t place = place_of(state, hash);
    PyObject *end = place < 0 ? NULL : item(state->ends, place);
    return end != NULL && count_in(core, item(end, 0)) ? item(end, answer) : NULL;
}

/* The same where pins are all that stands above the hash: whoever one may name is left to the ladder. */
static PyObject *unpinned_answer(Core *core, State *state, PyObject *unit, enum Answer answer) {
    uint32_t hash, place;
    if (state->runs == Py_None || state->pin_marks == NULL || !unit_hash(unit, state->seed, &hash))
        return NULL;
    Py_ssize_t size = PyBytes_Size(state->pin_marks); /* a power of two */
    if (size <= 0)
        return NULL;
    place = hash & (8 * (uint32_t)size - 1);
    if (PyBytes_AsString(state->pin_marks)[place / 8] >> place % 8 & 1) {
        PyObject *number = PyLong_FromUnsignedLong(hash);
        int named = number == NULL ? -1 : PySet_Contains(state->pinned, number);
        Py_XDECREF(number);
        if (named != 0)
            return NULL;
    }
    return hash_answer(core, state, hash, answer);
}

/* What a context says. */

static int same_unit(PyObject *kept, PyObject *unit) {
    if (kept == unit)
        return 1;
    /* By its characters, whatever a class of its own says of them. */
    return PyUnicode_CheckExact(kept) && PyUnicode_Check(unit) && PyUnicode_Compare(kept, unit) == 0;
}

/* Ask Python for what no entry answers; see Decisions.draw. */
static long asked_draw(Core *core, State *state, PyObject *scope, PyObject *unit, PyObject *chooser) {
    PyObject *draw = PyObject_GetAttr(chooser, core->str_draw), *answer = NULL;
    if (draw != NULL)
        answer = PyObject_CallFunctionObjArgs(draw, scope, (PyObject *)state, unit, NULL);
    Py_XDECREF(draw);
    long index = answer == NULL || answer == Py_None ? SLOW : PyLong_AsLong(answer);
    Py_XDECREF(answer);
    return index < 0 ? left_to_python() : index;
}

/* The index of the target that a hash draws, those of absent versions behind all others; SLOW: see `place_of`. */
static long target_by(State *state, uint32_t hash) {
    if (state->runs == Py_None)
        return hash < state->threshold;
    Py_ssize_t place = place_of(state, hash);
    PyObject *number = place < 0 ? NULL : item(state->target_of, place);
    return number == NULL ? SLOW : PyLong_AsLong(number);
}

/* The index of the version that a hash draws; SLOW where that is an absent one. */
static long drawn_by(State *state, uint32_t hash) {
    long index = target_by(state, hash);
    return index < 0 || index >= PyTuple_Size(state->names) ? left_to_python() : index;
}

static PyObject *new_entry(PyObject *unit, long index) {
    PyObject *number = PyLong_FromLong(index), *entry = number == NULL ? NULL : PyTuple_Pack(2, unit, number);
    Py_XDECREF(number);
    return entry;
}

/* Keep an index in a context, and note the version for who is to know it; returns what is kept. */
static long keep(Core *core, State *state, PyObject *scope, PyObject *unit, long index, PyObject *noting) {
    PyObject *entry = unit == core->missing && index < ENTRIES ? Py_NewRef(core->entries[index]) : new_entry(unit, index);
    int failed = entry == NULL;
#ifdef Py_GIL_DISABLED
    PyObject *first = NULL;
    if (!failed && (failed = PyDict_SetDefaultRef(scope, state->key, entry, &first) < 0) == 0) {
        index = PyLong_AsLong(item(first, 1));
        failed = index < 0 || !same_unit(item(first, 0), unit);
    }
    Py_XDECREF(first);
#else
    if (!failed) /* a clock in Python, or a collection, has let another thread keep one since it was looked for */
        failed = PyDict_GetItemWithError(scope, state->key) != NULL || PyErr_Occurred() != NULL ||
                 PyDict_SetItem(scope, state->key, entry) < 0;
#endif
    if (!failed && noting != Py_None)
        failed = PyDict_SetItem(noting, state->split, item(state->names, index)) < 0;
    Py_XDECREF(entry);
    return failed ? left_to_python() : index;
}

/* Whether the thread that follows is overdue, or that cannot be told: a context's first question looks. */
static int overdue(Core *core, PyObject *chooser) {
    PyObject *states = PyObject_GetAttr(chooser, core->str_states), *due = NULL, *monotonic = NULL, *now = NULL;
    if (states != NULL)
        due = PyObject_GetAttr(states, core->str_due);
    if (due != NULL)
        monotonic = PyObject_GetAttr(chooser, core->str_monotonic);
    if (monotonic != NULL)
        now = PyObject_CallNoArgs(monotonic);
    int late = 1;
    if (now != NULL && PyFloat_CheckExact(now) && PyFloat_CheckExact(due))
        late = PyFloat_AsDouble(now) > PyFloat_AsDouble(due);
    Py_XDECREF(states);
    Py_XDECREF(due);
    Py_XDECREF(monotonic);
    Py_XDECREF(now);
    return late;
}

/* Whether what a request takes is noted by its split's name alone: it is still of this unit, and has room. */
static int notes(Core *core, PyObject *noting, PyObject *unit) {
    if (noting == Py_None)
        return 1;
    PyObject *its = PyObject_GetAttr(noting, core->str_its_unit);
    Py_XDECREF(its);
    return its == unit && PyDict_Size(noting) < KEPT_AT_MOST;
}

/* The version's index for a split's first question in a context, kept there: Decisions.draw, where a hash says all. */
static long drawn(Core *core, State *state, PyObject *scope, PyObject *unit, PyObject *chooser) {
    uint32_t hash = 0;
    int known = 0;
    PyObject *straight = NULL, *noting = NULL;
    if (!core->listened && state->buffer == Py_None && (PyDict_Size(scope) > 0 || !overdue(core, chooser)))
        straight = PyErr_Occurred() ? NULL : PyObject_GetAttr(scope, core->str_straight);
    if (straight != NULL && PyTuple_CheckExact(straight) && PyTuple_Size(straight) == 2) { /* its unit, who notes it */
        noting = item(straight, 1);
        if (unit == core->missing)
            known = unit_hash(item(straight, 0), state->seed, &hash) && notes(core, noting, item(straight, 0));
        else if (noting == Py_None && PyUnicode_CheckExact(unit))
            known = unit_hash(unit, state->seed, &hash);
    }
    long index = SLOW;
    if (known)
        index = drawn_by(state, hash);
    else if (left_to_python() == SLOW)
        index = asked_draw(core, state, scope, unit, chooser);
    else
        index = RAISED;
    if (known && index >= 0)
        index = keep(core, state, scope, unit, index, noting);
    Py_XDECREF(straight);
    return index;
}

/* The version's index that a context gives a unit, kept under `key` or drawn now; nothing is counted. */
static long context_index(
    Core *core, State *state, PyObject *scope, PyObject *key, PyObject *unit, PyObject *chooser) {
    if (key == NULL || chooser == NULL || !PyDict_Check(scope))
        return SLOW;
    PyObject *kept = NULL;
#ifdef Py_GIL_DISABLED /* another thread of the request may end it */
    (void)PyDict_GetItemRef(scope, key, &kept);
#else
    kept = PyDict_GetItemWithError(scope, key);
    Py_XINCREF(kept);
#endif
    if (kept == NULL)
        return PyErr_Occurred() ? left_to_python() : drawn(core, state, scope, unit, chooser);
    int is_first = unit == core->missing && kept == core->entries[0];
    int is_second = unit == core->missing && kept == core->entries[1];
    PyObject *first = is_first || is_second ? NULL : item(kept, 0);
    int is_same = first != NULL && same_unit(first, unit);
    long index = is_same ? PyLong_AsLong(item(kept, 1)) : is_second;
    Py_DECREF(kept);
    if (is_first || is_second || (is_same && index >= 0))
        return index;
    return first == NULL || is_same ? left_to_python() : asked_draw(core, state, scope, unit, chooser);
}

/* The answer of the straight lines to a question, counted: a new reference. NULL without an error: the slow path. */
static PyObject *straight_answer(Core *core, State *state, PyObject *unit, PyObject *chooser, enum Answer answer) {
    PyObject *found = NULL;
    if (core->scope_get == NULL || state->special == NULL || (state->special != Py_None && state->pinned == Py_None))
        return NULL;
    PyObject *scope = open_context(core);
    if (scope == NULL)
        found = NULL;
    else if (scope == Py_None) {
        uint32_t hash;
        if (state->special != Py_None)
            found = unpinned_answer(core, state, unit, answer);
        else if (unit_hash(unit, state->seed, &hash))
            found = hash_answer(core, state, hash, answer);
    } else if (state->special == Py_None && answer == VERSION) {
        long index = context_index(core, state, scope, state->key, unit, chooser);
        if (index == BASELINE || index == 1)
            found = count_in(core, index ? state->c_new : state->c_old) ? index ? state->new : state->old : NULL;
        else if (index > 0 && count_in(core, item(state->started, index)))
            found = item(state->names, index);
    }
    Py_XDECREF(scope);
    if (found == NULL)
        left_to_python();
    return Py_XNewRef(found);
}

/* A question's arguments, by position or by name: what is not named is left as it is. */
static int read_arguments(
    const char *function, PyObject *const *args, Py_ssize_t given, PyObject *kwnames, PyObject *const *names,
    PyObject **values, Py_ssize_t known) {
    if (given > known) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %zd arguments (%zd given)", function, known, given);
        return 0;
    }
    for (Py_ssize_t at = 0; at < given; at++)
        values[at] = args[at];
    for (Py_ssize_t at = 0, named = kwnames == NULL ? 0 : PyTuple_Size(kwnames); at < named; at++) {
        PyObject *name = item(kwnames, at);
        Py_ssize_t place = 0;
        while (place < known && names[place] != name)
            place++;
        for (Py_ssize_t other = 0; place == known && other < known; other++)
            if (PyUnicode_Compare(names[other], name) == 0) {
                place = other;
                break;
            }
        if (place == known || place < given) {
            PyErr_Format(
                PyExc_TypeError,
                place == known ? "%s() got an unexpected keyword argument '%U'"
                               : "%s() got multiple values for argument '%U'",
                function, name);
            return 0;
        }
        values[place] = args[given + at];
    }
    return 1;
}

static PyObject *version_of(Core *core, PyObject *decision) {
    PyObject *version = decision == NULL ? NULL : PyObject_GetAttr(decision, core->str_version);
    Py_XDECREF(decision);
    return version;
}

/* HandleLine: what a handle is asked; see graysplit.routes.handle_line. */

typedef struct {
    PyObject_HEAD
    Core *core;
    PyObject *_state, *_chooser;
} Handle;

COLLECTED(Handle, handle, _state)

static PyObject *handle_ask(
    Handle *self, const char *function, PyObject *const *args, Py_ssize_t given, PyObject *kwnames,
    enum Answer answer) {
    Core *core = self->core;
    PyObject *const names[] = {core->str_unit, core->str_attributes};
    PyObject *values[] = {core->missing, Py_None};
    if (!read_arguments(function, args, given, kwnames, names, values, 2))
        return NULL;
    PyObject *state = taken((PyObject *)self, &self->_state), *chooser = self->_chooser, *found = NULL;
    if (state == NULL || chooser == NULL) {
        Py_XDECREF(state);
        PyErr_SetString(PyExc_AttributeError, "a handle without a state: its class must call __init__");
        return NULL;
    }
    if (as_state(core, state) != NULL)
        found = straight_answer(core, (State *)state, values[0], chooser, answer);
    if (found == NULL && PyErr_Occurred() == NULL) {
        PyObject *resolved =
            PyObject_CallMethodObjArgs(chooser, core->str_resolve, state, values[0], values[1], NULL);
        found = resolved == NULL ? NULL : Py_XNewRef(item(resolved, 2));
        Py_XDECREF(resolved);
        if (answer == VERSION)
            found = version_of(core, found);
    }
    Py_DECREF(state);
    return found;
}

static PyObject *handle_choose(PyObject *self, PyObject *const *args, Py_ssize_t given, PyObject *kwnames) {
    return handle_ask((Handle *)self, "choose", args, given, kwnames, VERSION);
}

static PyObject *handle_decide(PyObject *self, PyObject *const *args, Py_ssize_t given, PyObject *kwnames) {
    return handle_ask((Handle *)self, "decide", args, given, kwnames, DECISION);
}

#define ASKED(function) (PyCFunction)(void (*)(void))function, METH_FASTCALL | METH_KEYWORDS

static PyMethodDef handle_methods[] = {
    {"choose", ASKED(handle_choose),
     "choose($self, unit=..., attributes=None)\n--\n\n"
     "Return the version's name for a unit, the context's unless given; counted as an exposure."},
    {"decide", ASKED(handle_decide),
     "decide($self, unit=..., attributes=None)\n--\n\n"
     "Return version, reason, revision and staleness; counted like `choose`, and as cheap outside a context."},
    {NULL, NULL, 0, NULL},
};
static PyMemberDef handle_members[] = {FIELD(Handle, _state), FIELD(Handle, _chooser), {NULL, 0, 0, 0, NULL}};
KIND(Handle, handle, "HandleLine", {Py_tp_methods, handle_methods},);

/* NameLine: what a router is asked by a split's name; see graysplit.router.name_line. */

typedef struct {
    PyObject_HEAD
    Core *core;
    PyObject *_table, *_chooser;
} Name;

COLLECTED(Name, name, _table)

static PyObject *name_ask(
    Name *self, const char *function, PyObject *const *args, Py_ssize_t given, PyObject *kwnames,
    enum Answer answer) {
    Core *core = self->core;
    PyObject *const names[] = {core->str_split, core->str_unit, core->str_attributes};
    PyObject *values[] = {NULL, core->missing, Py_None};
    if (!read_arguments(function, args, given, kwnames, names, values, 3))
        return NULL;
    if (values[0] == NULL) {
        PyErr_Format(PyExc_TypeError, "%s() missing 1 required positional argument: 'split'", function);
        return NULL;
    }
    PyObject *table = taken((PyObject *)self, &self->_table), *found = NULL, *state = NULL;
    if (table != NULL && PyDict_Check(table)) {
#ifdef Py_GIL_DISABLED
        if (PyDict_GetItemRef(table, values[0], &state) < 0)
            left_to_python();
#else
        state = PyDict_GetItemWithError(table, values[0]);
        Py_XINCREF(state);
        if (state == NULL)
            left_to_python();
#endif
        if (as_state(core, state) != NULL)
            found = straight_answer(core, (State *)state, values[1], self->_chooser, answer);
    }
    Py_XDECREF(state);
    Py_XDECREF(table);
    if (found == NULL && PyErr_Occurred() == NULL) {
        found =
            PyObject_CallMethodObjArgs((PyObject *)self, core->str_ask, values[0], values[1], values[2], NULL);
        if (answer == VERSION)
            found = version_of(core, found);
    }
    return found;
}

static PyObject *name_choose(PyObject *self, PyObject *const *args, Py_ssize_t given, PyObject *kwnames) {
    return name_ask((Name *)self, "choose", args, given, kwnames, VERSION);
}

static PyObject *name_decide(PyObject *self, PyObject *const *args, Py_ssize_t given, PyObject *kwnames) {
    return name_ask((Name *)self, "decide", args, given, kwnames, DECISION);
}

static PyMethodDef name_methods[] = {
    {"choose", ASKED(name_choose),
     "choose($self, split, unit=..., attributes=None)\n--\n\n"
     "Return the version of a split for a unit, by default the context's. It never raises and never waits."},
    {"decide", ASKED(name_decide),
     "decide($self, split, unit=..., attributes=None)\n--\n\n"
     "Return the whole decision: version, reason, revision, stale. As cheap as `choose`."},
    {NULL, NULL, 0, NULL},
};
static PyMemberDef name_members[] = {FIELD(Name, _table), FIELD(Name, _chooser), {NULL, 0, 0, 0, NULL}};
KIND(Name, name, "NameLine", {Py_tp_methods, name_methods},);

/* RouteLine: what the text of a routed function asks; see graysplit.routes.template.

   An outcome is what the slow path gives: state, index, function, whether it is measured, part, record, mark; and
   whether there is more to do than to call the function. */

enum Outcome { INDEX = 1, FUNCTION, MEASURED, PART, RECORD, MARK, MORE, OUTCOME };

typedef struct {
    PyObject_HEAD
    Core *core;
    PyObject *state, *chooser;
} Route;

COLLECTED(Route, route, state)

/* Append to a list, or to what stands for one: a thinned list decides itself what it keeps. */
static int append(Core *core, PyObject *list, PyObject *item) {
    if (list == NULL)
        return -1;
    if (PyList_CheckExact(list))
        return PyList_Append(list, item);
    PyObject *done = PyObject_CallMethodObjArgs(list, core->str_append, item, NULL);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* What a part that is thinned keeps, as Python has it: a mask of the hash, and by index what it counts of calls that
   begin and of calls that end. */
enum Thin { MASK, BEGUN, ENDED };

/* What counts a call of a user whom a thinned part does not keep, borrowed; NULL: it is to be written down, or Python
   decides. */
static PyObject *thin_count(PyObject *thin, PyObject *mark, PyObject *index, enum Thin side) {
    if (thin == NULL || thin == Py_None || !PyLong_CheckExact(mark))
        return NULL;
    if (!(PyLong_AsUnsignedLong(mark) & PyLong_AsUnsignedLong(item(thin, MASK))))
        return NULL;
    return item(item(thin, side), PyLong_AsSsize_t(index));
}

/* A record of a call that is timed: its time, index and mark. */
static PyObject *begun_record(PyObject *now, PyObject *index, PyObject *mark) {
    PyObject *record = now == NULL ? NULL : PyList_New(3);
    if (record == NULL)
        return NULL;
    PyList_SetItem(record, 0, Py_NewRef(now));
    PyList_SetItem(record, 1, Py_NewRef(index));
    PyList_SetItem(record, 2, Py_NewRef(mark));
    return record;
}

/* Write down that a call of an armed split begins; a new outcome. Whatever can fail comes before the writing. */
static PyObject *armed_outcome(Core *core, State *state, PyObject *prepared, PyObject *mark) {
    if (Py_TYPE(state->buffer) != core->buffer && !PyObject_TypeCheck(state->buffer, core->buffer))
        return NULL;
    PyObject *part = taken(state->buffer, &((Buffer *)state->buffer)->current), *outcome = NULL, *record = NULL;
    if (part == NULL || !PyObject_TypeCheck(part, core->part)) {
        Py_XDECREF(part);
        return NULL;
    }
    PyObject *index = item(prepared, INDEX), *now = NULL;
    Part *written = (Part *)part;
    PyObject *thin = taken(part, &written->thin), *count = thin_count(thin, mark, index, BEGUN);
    if (count != NULL && Py_TYPE(count) != core->count)
        count = NULL;
    if (count == NULL && written->timed == Py_True) { /* who is only counted is timed for nobody */
        now = PyObject_CallNoArgs(core->clock);
        record = begun_record(now, index, mark);
        Py_XDECREF(now);
        if (record == NULL) {
            Py_XDECREF(thin);
            Py_DECREF(part);
            return NULL;
        }
    }
    outcome = PyTuple_Pack(
        OUTCOME, item(prepared, 0), index, item(prepared, FUNCTION), Py_True, part,
        record == NULL ? Py_None : record, mark, Py_True);
    if (outcome == NULL || count != NULL) {
        if (outcome != NULL)
            bumped((Count *)count);
        Py_XDECREF(thin);
        Py_XDECREF(record);
        Py_DECREF(part);
        return outcome;
    }
    Py_XDECREF(thin);
    /* `begun` is replaced when the part closes: the list that is read here is the one that is written. */
    PyObject *begun = taken(part, &written->begun);
    if (begun == NULL || append(core, item(begun, PyLong_AsSsize_t(index)), mark) < 0)
        Py_CLEAR(outcome);
    Py_XDECREF(begun);
    if (outcome != NULL && record != NULL) {
        PyObject *sampled = taken(part, &written->sampled);
        if (append(core, sampled, record) < 0 && left_to_python() == RAISED) /* else the call counts, and is not timed */
            Py_CLEAR(outcome);
        Py_XDECREF(sampled);
    }
    Py_XDECREF(record);
    Py_DECREF(part);
    return outcome;
}

static PyObject *route_picked(Core *core, State *state, Py_ssize_t index, PyObject *mark) {
    PyObject *prepared = item(state->picks, index), *target = item(state->targets, index);
    if (prepared == NULL || target == NULL)
        return NULL;
    if (state->buffer != Py_None && item(prepared, MEASURED) == Py_True)
        return armed_outcome(core, state, prepared, mark);
    return count_in(core, item(target, 1)) ? Py_NewRef(prepared) : NULL;
}

/* Outside a context: by the hash, which is also the mark of an armed call. */
static PyObject *hash_outcome(Core *core, State *state, PyObject *unit) {
    uint32_t hash;
    if (!unit_hash(unit, state->seed, &hash))
        return NULL;
    long index = target_by(state, hash);
    if (index < 0)
        return NULL;
    if (state->buffer == Py_None)
        return route_picked(core, state, index, NULL);
    PyObject *mark = PyLong_FromUnsignedLong(hash), *outcome = NULL;
    if (mark != NULL)
        outcome = route_picked(core, state, index, mark);
    Py_XDECREF(mark);
    return outcome;
}

/* In a context: nothing was hashed, so that the mark of an armed call is its unit. */
static PyObject *context_outcome(Core *core, State *state, PyObject *scope, PyObject *unit, PyObject *chooser) {
    long index = context_index(core, state, scope, state->quick, unit, chooser);
    if (index < 0)
        return NULL;
    if (state->buffer == Py_None)
        return route_picked(core, state, index, NULL);
    PyObject *meant = unit == core->missing ? PyObject_GetAttr(scope, core->str_unit) : Py_NewRef(unit);
    PyObject *mark = meant == NULL ? NULL : PyTuple_Pack(1, meant), *outcome = NULL;
    if (mark != NULL)
        outcome = route_picked(core, state, index, mark);
    Py_XDECREF(mark);
    Py_XDECREF(meant);
    return outcome;
}

/* pick(unit): what the straight line picks, its beginning counted or written down; else one without a state:
   the slow path decides. */
static PyObject *route_pick(PyObject *object, PyObject *unit) {
    Route *self = (Route *)object;
    Core *core = self->core;
    PyObject *held = taken(object, &self->state), *outcome = NULL;
    State *state = as_state(core, held);
    if (state != NULL && core->scope_get != NULL) {
        if (state->special == Py_None && state->picks != NULL) {
            PyObject *scope = open_context(core);
            if (scope == Py_None)
                outcome = hash_outcome(core, state, unit);
            else if (scope != NULL)
                outcome = context_outcome(core, state, scope, unit, self->chooser);
            Py_XDECREF(scope);
        }
    }
    Py_XDECREF(held);
    if (outcome != NULL)
        return outcome;
    return left_to_python() == RAISED ? NULL : Py_XNewRef(core->slow);
}

static PyMethodDef route_methods[] = {
    {"pick", route_pick, METH_O, "Return what a call is to run, counted as begun; no state where the slow path decides."},
    {NULL, NULL, 0, NULL},
};
static PyMemberDef route_members[] = {FIELD(Route, state), FIELD(Route, chooser), {NULL, 0, 0, 0, NULL}};
KIND(Route, route, "RouteLine", {Py_tp_methods, route_methods},);

/* The module. */

#define TEXT_OF(token) #token
#define TEXT(macro) TEXT_OF(macro)

/* adopt(class): give a class the methods that it inherits as its own: an interpreter that specialises calls those of an
   object's very class without asking further, which saves a fifth of a hash. */
static PyObject *adopt(PyObject *module, PyObject *class) {
    Core *core = PyModule_GetState(module);
    PyMethodDef *methods = NULL;
    if (PyType_Check(class) && PyType_IsSubtype((PyTypeObject *)class, core->handle))
        methods = handle_methods;
    else if (PyType_Check(class) && PyType_IsSubtype((PyTypeObject *)class, core->name))
        methods = name_methods;
    if (methods == NULL) {
        PyErr_SetString(PyExc_TypeError, "adopt() takes a class that derives from HandleLine or NameLine");
        return NULL;
    }
    for (; methods->ml_name != NULL; methods++) {
        PyObject *method = PyDescr_NewMethod((PyTypeObject *)class, methods);
        if (method == NULL || PyObject_SetAttrString(class, methods->ml_name, method) < 0) {
            Py_XDECREF(method);
            return NULL;
        }
        Py_DECREF(method);
    }
    Py_RETURN_NONE;
}

/* end(outcome): count or write down that a measured call has ended; of the baseline only while armed. */
static PyObject *end(PyObject *module, PyObject *outcome) {
    Core *core = PyModule_GetState(module);
    if (!PyTuple_CheckExact(outcome) || PyTuple_Size(outcome) < MORE) {
        PyErr_SetString(PyExc_TypeError, "end() takes an outcome");
        return NULL;
    }
    Py_ssize_t index = PyLong_AsSsize_t(item(outcome, INDEX));
    PyObject *state = item(outcome, 0), *part = item(outcome, PART), *record = item(outcome, RECORD);
    if (index < 0)
        return NULL;
    if (part == Py_None) {
        if (index != BASELINE && as_state(core, state) != NULL)
            count_in(core, item(((State *)state)->finished, index));
        Py_RETURN_NONE;
    }
    if (!PyObject_TypeCheck(part, core->part) || core->clock == NULL)
        Py_RETURN_NONE;
    if (record != Py_None) {
        PyObject *now = PyObject_CallNoArgs(core->clock);
        PyObject *since = now == NULL ? NULL : PyNumber_Subtract(PyList_GetItem(record, 0), now);
        Py_XDECREF(now);
        if (since == NULL || PyList_SetItem(record, 0, since) < 0)
            return NULL;
    }
    PyObject *thin = taken(part, &((Part *)part)->thin);
    int only_counted = count_in(core, thin_count(thin, item(outcome, MARK), item(outcome, INDEX), ENDED));
    Py_XDECREF(thin);
    if (only_counted)
        Py_RETURN_NONE;
    PyObject *ended = taken(part, &((Part *)part)->ended);
    int written = append(core, item(ended, index), item(outcome, MARK));
    Py_XDECREF(ended);
    return written < 0 ? NULL : Py_NewRef(Py_None);
}

/* listen(whether): Python tells of each version that a context takes, or need not any more. */
static PyObject *listen(PyObject *module, PyObject *whether) {
    int listened = PyObject_IsTrue(whether);
    if (listened < 0)
        return NULL;
    ((Core *)PyModule_GetState(module))->listened = listened;
    Py_RETURN_NONE;
}

/* connect(missing, scope, clock): hand over what the lines ask of graysplit, once: what a module gives that is loaded
   again is known to nobody who was there before. */
static PyObject *connect(PyObject *module, PyObject *args) {
    Core *core = PyModule_GetState(module);
    PyObject *missing, *scope, *clock;
    if (!PyArg_ParseTuple(args, "OOO", &missing, &scope, &clock))
        return NULL;
    if (core->missing != NULL)
        Py_RETURN_NONE;
    for (long index = 0; index < ENTRIES; index++)
        if ((core->entries[index] = new_entry(missing, index)) == NULL)
            return NULL;
    core->missing = Py_NewRef(missing);
    core->scope = Py_NewRef(scope);
    core->clock = Py_NewRef(clock);
    core->scope_get = PyObject_GetAttrString(scope, "get"); /* last: from here on the lines are used */
    return core->scope_get == NULL ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef functions[] = {
    {"adopt", adopt, METH_O, "Give a class of handles or routers the methods that it inherits as its own."},
    {"connect", connect, METH_VARARGS, "Take what the straight lines ask of graysplit: MISSING, the context variable, a clock."},
    {"end", end, METH_O, "Count or write down that a measured call has ended, by its outcome."},
    {"listen", listen, METH_O, "Have Python tell of each version that a context takes, or not any more."},
    {NULL, NULL, 0, NULL},
};

static int core_visit(PyObject *module, visitproc visit, void *arg) {
    Core *core = PyModule_GetState(module);
    Py_VISIT(core->count);
    Py_VISIT(core->state);
    Py_VISIT(core->compiled);
    Py_VISIT(core->part);
    Py_VISIT(core->buffer);
    Py_VISIT(core->handle);
    Py_VISIT(core->name);
    Py_VISIT(core->missing);
    Py_VISIT(core->scope);
    Py_VISIT(core->scope_get);
    Py_VISIT(core->clock);
    for (int index = 0; index < ENTRIES; index++)
        Py_VISIT(core->entries[index]);
    return 0;
}

static int core_clear(PyObject *module) {
    Core *core = PyModule_GetState(module);
    Py_CLEAR(core->scope_get); /* first: without it all is left to Python */
    Py_CLEAR(core->scope);
    Py_CLEAR(core->clock);
    Py_CLEAR(core->compiled);
    for (int index = 0; index < ENTRIES; index++)
        Py_CLEAR(core->entries[index]);
    return 0;
}

static void core_free(void *module) {
    Core *core = PyModule_GetState(module);
    core_clear(module);
    Py_CLEAR(core->missing); /* what a question that names no unit hands on to Python */
    Py_CLEAR(core->slow);
    Py_CLEAR(core->count);
    Py_CLEAR(core->state);
    Py_CLEAR(core->part);
    Py_CLEAR(core->buffer);
    Py_CLEAR(core->handle);
    Py_CLEAR(core->name);
    PyObject **names[] = {
        &core->str_append, &core->str_attributes, &core->str_ask,    &core->str_draw,
        &core->str_due,    &core->str_its_unit,   &core->str_monotonic, &core->str_resolve,
        &core->str_split,  &core->str_states,     &core->str_straight,  &core->str_unit,
        &core->str_version,
    };
    for (size_t at = 0; at < sizeof(names) / sizeof(*names); at++)
        Py_CLEAR(*names[at]);
}

static PyTypeObject *added(PyObject *module, PyType_Spec *spec) {
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL && PyModule_AddType(module, type) < 0)
        Py_CLEAR(type);
    return type;
}

static int core_exec(PyObject *module) {
    Core *core = PyModule_GetState(module);
    struct {
        PyObject **place;
        const char *text;
    } names[] = {
        {&core->str_append, "append"},     {&core->str_attributes, "attributes"},
        {&core->str_ask, "_ask"},          {&core->str_draw, "draw"},
        {&core->str_due, "due"},           {&core->str_its_unit, "_unit"},
        {&core->str_monotonic, "monotonic"}, {&core->str_resolve, "resolve"},
        {&core->str_split, "split"},       {&core->str_states, "states"},
        {&core->str_straight, "straight"}, {&core->str_unit, "unit"},
        {&core->str_version, "version"},
    };
    for (size_t at = 0; at < sizeof(names) / sizeof(*names); at++)
        if ((*names[at].place = PyUnicode_InternFromString(names[at].text)) == NULL)
            return -1;
#ifndef _WIN32
    *(void **)&core->read_variable = dlsym(RTLD_DEFAULT, "PyContextVar_Get");
#endif
    core->slow = PyTuple_Pack(OUTCOME, Py_None, Py_None, Py_None, Py_None, Py_None, Py_None, Py_None, Py_True);
    core->count = added(module, &count_spec);
    core->state = added(module, &state_spec);
    core->part = added(module, &part_spec);
    core->buffer = added(module, &buffer_spec);
    if (core->slow == NULL || core->count == NULL || core->state == NULL || core->part == NULL || core->buffer == NULL)
        return -1;
    core->handle = added(module, &handle_spec);
    core->name = added(module, &name_spec);
    PyTypeObject *route = added(module, &route_spec);
    if (core->handle == NULL || core->name == NULL || route == NULL)
        return -1;
    Py_DECREF(route); /* the module holds it */
    return PyModule_AddStringConstant(module, "VERSION", TEXT(GRAYSPLIT_VERSION));
}

/* The limited API of 3.11 has no names for these slots, and 3.11 refuses their numbers, which are frozen: a Python says
   by itself whether it knows them. */
#define MULTIPLE_INTERPRETERS 3  /* Py_mod_multiple_interpreters, since 3.12 */
#define OWN_GIL ((void *)2)      /* Py_MOD_PER_INTERPRETER_GIL_SUPPORTED */
#define GIL 4                    /* Py_mod_gil, since 3.13 */
#define GIL_NOT_USED ((void *)1) /* Py_MOD_GIL_NOT_USED */
static PyModuleDef_Slot slots_3_11[] = {{Py_mod_exec, core_exec}, {0, NULL}};
static PyModuleDef_Slot slots_3_12[] = {{Py_mod_exec, core_exec}, {MULTIPLE_INTERPRETERS, OWN_GIL}, {0, NULL}};
static PyModuleDef_Slot slots_3_13[] = {
    {Py_mod_exec, core_exec}, {MULTIPLE_INTERPRETERS, OWN_GIL}, {GIL, GIL_NOT_USED}, {0, NULL}};

#define DEFINITION(its_slots)                                                                         \
    {.m_base = PyModuleDef_HEAD_INIT, .m_name = "graysplit_speed.core", .m_size = sizeof(Core),       \
     .m_doc = "The straight lines of a decision, executed on the state that graysplit has compiled.", \
     .m_methods = functions, .m_slots = (its_slots), .m_traverse = core_visit, .m_clear = core_clear, \
     .m_free = core_free}
static PyModuleDef definitions[DEFINITIONS] = {DEFINITION(slots_3_11), DEFINITION(slots_3_12), DEFINITION(slots_3_13)};

PyMODINIT_FUNC PyInit_core(void) {
    return PyModuleDef_Init(&definitions[Py_Version >= 0x030D0000 ? 2 : Py_Version >= 0x030C0000 ? 1 : 0]);
}
