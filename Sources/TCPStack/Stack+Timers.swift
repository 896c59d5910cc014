import TCPEngine
public import TCPWire

// Time passes.
extension Stack {
    /// When `advance(to:)` is next wanted; `nil` when no timer runs. It may come earlier than any timer is due, never later.
    public var nextDeadline: Instant? {
        let timer = wheel.nextDeadline
        let other = min(min(trimDeadline, fragments.deadline), timeWaitDeadline ?? .distantFuture)
        if other == .distantFuture { return timer }
        return min(timer ?? .distantFuture, other)
    }

    /// Fires the timers that are due at `now`.
    public mutating func advance(to now: Instant) {
        context.now = max(context.now, now)
        // Before the wheel turns: what is overdue by days would be due in days to it afterwards.
        expireTimeWaits()
        while let id = wheel.pop(at: context.now, &tables) {
            if id.isEntry {
                fireEntry(id.slot)
            } else {
                tables.connections[id.slot].connection.fireTimers(&context)
                settle(id.slot)
            }
        }
        expireFragments()
        relieve()
        trim()
    }

    /// Memory that lies idle goes back though nothing else happens.
    private var trimDeadline: Instant {
        trimAt == .distantFuture && context.pool.canTrim ? context.now.advanced(byNanoseconds: 1_000_000_000) : trimAt
    }

    /// Blocks that lie idle for a second go back.
    private mutating func trim() {
        if trimAt <= context.now {
            context.pool.trim(all: false, &context.budget)
            trimAt = .distantFuture
        }
        if trimAt == .distantFuture, context.pool.canTrim {
            trimAt = context.now.advanced(byNanoseconds: 1_000_000_000)
        }
    }
}
