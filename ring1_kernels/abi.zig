//! Kernel ABI v1 for kernels written in Zig: the call block of ABI.md, read and checked once.
//!
//! A kernel exports `run`, which hands its address and `work` to `enter`. Nothing here allocates,
//! and nothing outlives a call.

pub const DONE = 0;
pub const OUTSIDE_DOMAIN = 1; // the forward operation is not defined on these bytes
pub const BAD_PARAMETER = 2; // a parameter is missing, out of range or not in its one form
pub const MALFORMED = 3; // the inverse was given bytes that the forward operation never makes
pub const CAPACITY = 4; // an output has less room than the bound asked for
pub const UNKNOWN_OPERATION = 5;
pub const SCRATCH = 6; // the scratch is smaller than the bound asked for
pub const CALL_SHAPE = 7; // the number of inputs or outputs is not the kernel's

pub const Input = extern struct { ptr: u32, len: u32 };
pub const Output = extern struct { ptr: u32, cap: u32, len: u32 };
pub const Scratch = extern struct { ptr: u32, len: u32 };

pub const Call = struct {
    bound: bool, // only the bound is asked for: nothing but the call block is written
    inverse: bool,
    n_in: u32,
    n_out: u32,
    in: [*]const Input,
    out: [*]Output,
    scratch: *Scratch,
    param: u32,
    param_end: u32,

    /// The lanes of an input. An empty one may lie anywhere, even at 0.
    pub fn input(call: *const Call, comptime T: type, port: u32) [*c]align(1) const T {
        return @ptrFromInt(call.in[port].ptr);
    }

    /// The lanes of an output.
    pub fn output(call: *const Call, comptime T: type, port: u32) [*c]align(1) T {
        return @ptrFromInt(call.out[port].ptr);
    }

    /// The code for data that cannot be used: which one depends on the direction.
    pub fn unusable(call: *const Call) u32 {
        return if (call.inverse) MALFORMED else OUTSIDE_DOMAIN;
    }

    /// The width byte of a kernel with a type variable; null unless it is one of `widths`, a sum.
    pub fn takeWidth(call: *Call, widths: u32) ?u32 {
        const width: u32 = call.takeByte() orelse return null;
        if (width == 0 or width & (width - 1) != 0 or widths & width == 0) return null;
        return width;
    }

    /// One unsigned LEB128 parameter in [min, max], in its shortest form.
    pub fn takeUint(call: *Call, min: u32, max: u32) ?u32 {
        var sum: u64 = 0;
        var shift: u6 = 0;
        while (shift < 35) : (shift += 7) {
            const byte: u64 = call.takeByte() orelse return null;
            sum |= (byte & 0x7f) << shift;
            if (byte & 0x80 != 0) continue;
            if (byte == 0 and shift != 0) return null;
            return if (sum >= min and sum <= max) @intCast(sum) else null;
        }
        return null;
    }

    pub fn noMoreParameters(call: *const Call) bool {
        return call.param == call.param_end;
    }

    /// What a kernel with one input and one output of the same length does before its work: DONE
    /// with `bound` false means that the lanes are whole and the output has room.
    pub fn sameLength(call: *Call, width: u32) u32 {
        if (call.n_in != 1 or call.n_out != 1) return CALL_SHAPE;
        const length = call.in[0].len;
        if (length % width != 0) return call.unusable();
        if (call.bound) {
            call.out[0].cap = length;
            call.scratch.len = 0;
            return DONE;
        }
        if (call.out[0].cap < length) return CAPACITY;
        call.out[0].len = length;
        return DONE;
    }

    fn takeByte(call: *Call) ?u8 {
        if (call.param == call.param_end) return null;
        const at: [*]const u8 = @ptrFromInt(call.param);
        call.param += 1;
        return at[0];
    }
};

/// Read the call block at `address` and do the work.
pub fn enter(address: u32, comptime work: fn (*Call) u32) u32 {
    const head: [*]const u32 = @ptrFromInt(address);
    if (head[0] > 3) return UNKNOWN_OPERATION;
    const n_in = head[3];
    const n_out = head[4 + 2 * n_in];
    const out = address + 4 * (5 + 2 * n_in);
    var call = Call{
        .bound = head[0] & 1 == 0,
        .inverse = head[0] >= 2,
        .n_in = n_in,
        .n_out = n_out,
        .in = @ptrFromInt(address + 16),
        .out = @ptrFromInt(out),
        .scratch = @ptrFromInt(out + 12 * n_out),
        .param = head[1],
        .param_end = head[1] + head[2],
    };
    return work(&call);
}
