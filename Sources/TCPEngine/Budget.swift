/// All the memory a stack may hold, counted where it is taken and where it is given back.
package struct Budget {
    /// The most that may be held, in bytes.
    package let limit: Int
    /// What is held, in bytes.
    package private(set) var used = 0
    /// How often there was no room.
    package private(set) var refusals: UInt64 = 0

    package init(limit: Int) { self.limit = limit }

    /// Takes `bytes` from what is left; says whether there was room.
    package mutating func reserve(_ bytes: Int) -> Bool {
        guard bytes <= limit &- used else {
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
