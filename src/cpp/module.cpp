// Binds qrex's compiled kernels. One module for the whole project: `qrex._kernels`.
#include <nanobind/nanobind.h>

NB_MODULE(_kernels, m) { m.doc() = "qrex compiled kernels"; }
