/* The compiled core of graysplit. Python keeps all policy: graysplit/native.py finds this module, or goes without it. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define TEXT_OF(token) #token
#define TEXT(macro) TEXT_OF(macro)

static int core_exec(PyObject *module)
{
    return PyModule_AddStringConstant(module, "VERSION", TEXT(GRAYSPLIT_VERSION));
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, core_exec}, {0, NULL}};

/* The limited API of 3.11 has no names for these slots, and 3.11 refuses their numbers, which are frozen: a Python says
 * by itself whether it knows them. */
#define MULTIPLE_INTERPRETERS 3 /* Py_mod_multiple_interpreters, since 3.12 */
#define OWN_GIL ((void *)2)     /* Py_MOD_PER_INTERPRETER_GIL_SUPPORTED */
#define GIL 4                   /* Py_mod_gil, since 3.13 */
#define GIL_NOT_USED ((void *)1) /* Py_MOD_GIL_NOT_USED */

static PyModuleDef_Slot slots_3_12[] = {{Py_mod_exec, core_exec}, {MULTIPLE_INTERPRETERS, OWN_GIL}, {0, NULL}};
static PyModuleDef_Slot slots_3_13[] = {
    {Py_mod_exec, core_exec}, {MULTIPLE_INTERPRETERS, OWN_GIL}, {GIL, GIL_NOT_USED}, {0, NULL}};

#define DEFINITION(its_slots) \
    {.m_base = PyModuleDef_HEAD_INIT, .m_name = "graysplit_speed.core", .m_size = 0, .m_slots = (its_slots)}

static PyModuleDef definition = DEFINITION(slots);
static PyModuleDef definition_3_12 = DEFINITION(slots_3_12);
static PyModuleDef definition_3_13 = DEFINITION(slots_3_13);

PyMODINIT_FUNC PyInit_core(void)
{
    if (Py_Version >= 0x030D0000) {
        return PyModuleDef_Init(&definition_3_13);
    }
    return PyModuleDef_Init(Py_Version >= 0x030C0000 ? &definition_3_12 : &definition);
}
