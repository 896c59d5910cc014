import TCPEngine
import TCPWire

// What is done as the budget nears its end, so that it is never reached by those who are there (DESIGN rule 4). Nothing here
// costs more for more connections.
extension Stack {
    /// How near memory is to its end.
    public var memoryLevel: MemoryLevel {
        context.budget.marks.level(at: context.held, after: toldLevel, ease: context.budget.limit / 32)
    }

    /// The level, if it is not the one last told.
    mutating func levelEvent() -> StackEvent? {
        let level = memoryLevel
        guard level != toldLevel else { return nil }
        toldLevel = level
        return .memoryLevel(level)
    }

    /// Gives back what is missed least, a little with each packet: the oldest TIME-WAIT entries, then the oldest connection
    /// without a program. A connection that a program holds is never ended.
    mutating func relieve() {
        guard context.held >= context.budget.marks.ending else { return }
        for _ in 0..<2 where context.held >= context.budget.marks.ending { endOldestTimeWait() }
        if context.held >= context.budget.marks.resetting, orphans.head != .max { resetOrphan(orphans.head) }
    }

    /// Sees to it that idle buffers are not in the way of something of that size.
    mutating func makeRoom(for bytes: Int) {
        guard context.budget.remaining &- context.budget.marks.keptBack < bytes, context.pool.canTrim else { return }
        context.pool.trim(all: true, &context.budget)
    }

    /// RFC 9293 §3.10.5, ABORT, by the stack itself.
    private mutating func resetOrphan(_ slot: UInt32) {
        counts.orphansReset &+= 1
        let reset = abortReset(slot)
        if tables.connections[slot].connection.abort(&context) { send(reset) }
        settle(slot)
    }
}
