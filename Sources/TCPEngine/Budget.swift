/// All the memory a stack may hold, counted where it is taken and where it is given back.
package struct Budget {
    /// Bytes at which something is done so that the end is not reached. Without them nothing happens before the end.
    package struct Marks: Sendable {
        /// Buffers that nothing uses go back at once.
        package var returning = Int.max
        /// No advertised window grows.
        package var holding = Int.max
        /// Windows shrink as data arrives; what a connection may queue shrinks with what is left below `ending`.
        package var shrinking = Int.max
        /// The oldest TIME-WAIT entries go.
        package var ending = Int.max
        /// SYN cookies take the place of half-open entries.
        package var cookies = Int.max
        /// SYNs and third segments are refused.
        package var refusing = Int.max
        /// The oldest connections that no program holds are reset.
        package var resetting = Int.max
        /// Octets that arrive find no room.
        package var arriving = Int.max
        /// Bytes at the end that only acknowledging and sending again may use.
        package var keptBack = 0

        package init() {}
    }

    /// The most that may be held, in bytes.
    package let limit: Int
    package let marks: Marks
    /// What is held, in bytes.
    package private(set) var used = 0
    /// How often there was no room.
    package private(set) var refusals: UInt64 = 0

    package init(limit: Int, marks: Marks = Marks()) {
        self.limit = limit
        self.marks = marks
    }

    /// Takes `bytes` from what is left, if `keeping` are left then; says whether there was room.
    package mutating func reserve(_ bytes: Int, keeping: Int = 0) -> Bool {
        guard bytes <= limit &- used &- keeping else {
            refusals &+= 1
            return false
        }
        used &+= bytes
        return true
    }

    /// Gives `bytes` back.
    package mutating func release(_ bytes: Int) { used &-= bytes }

    /// Bytes still to be had.
    package var remaining: Int { limit &- used }
}
