# What the C++ exceptions of a module are thrown with.
	.globl	__cpp_exception
	.tagtype	__cpp_exception i32
__cpp_exception:
