/* run_low(address, top): a kernel's `run`, compiled natively for x86-64, on another stack.
 *
 * Kernels may keep addresses of what lies on their stack, which in a module have 32 bits. Natively
 * such a stack has to be mapped for them below 4 GiB; `top` is its end, divisible by 16. */
__asm__(
    ".text\n"
    ".globl run_low\n"
    ".type run_low, @function\n"
    "run_low:\n"
    "  pushq %rbx\n"
    "  movq %rsp, %rbx\n" /* `run` keeps rbx */
    "  movq %rsi, %rsp\n"
    "  callq run@PLT\n"
    "  movq %rbx, %rsp\n"
    "  popq %rbx\n"
    "  retq\n");
