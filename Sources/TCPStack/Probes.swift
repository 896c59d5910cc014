import TCPEngine
package import TCPWire

// The timing wheel and the flow table by themselves, so that tests can hold them against plain models.

/// A timing wheel over timers that belong to nothing.
package struct TimingWheelProbe: ~Copyable {
    private var tables = Tables()
    private var wheel: TimingWheel
    private var budget = Budget(limit: .max)

    package init(at now: Instant) { wheel = TimingWheel(at: now) }

    /// Nanoseconds of a tick.
    package static var tick: Int64 { 1 << 17 }
    /// Timers that run.
    package var count: Int { wheel.count }
    /// When to call `pop`.
    package var nextDeadline: Instant? { wheel.nextDeadline }

    /// Makes a timer that is off.
    package mutating func add() -> UInt32 {
        let key = FlowKey(remote: IPAddress(ipv4: 1), remotePort: 1, local: 0, localPort: 1)
        return tables.entries.insert(.init(key: key), &budget) ?? .max
    }

    package mutating func schedule(_ timer: UInt32, at instant: Instant) {
        wheel.schedule(.entry(timer), at: instant, &tables)
    }

    package mutating func reschedule(_ timer: UInt32, at instant: Instant) {
        wheel.reschedule(.entry(timer), at: instant, &tables)
    }

    package mutating func cancel(_ timer: UInt32) { wheel.cancel(.entry(timer), &tables) }

    package mutating func pop(at now: Instant) -> UInt32? { wheel.pop(at: now, &tables)?.slot }

    deinit {}
}

/// A flow table over small entries.
package struct FlowTableProbe: ~Copyable {
    private var tables = Tables()
    private var table: FlowTable
    private var budget: Budget
    private let secret: StackSecret

    package init(secret: StackSecret, limit: Int) {
        budget = Budget(limit: limit)
        self.secret = secret
        table = FlowTable(&budget)
    }

    package var count: Int { table.count }
    package var bytes: Int { table.bytes }
    /// Bytes held, the entries' own included.
    package var held: Int { budget.used }

    /// Adds an entry; `nil` when there is no memory.
    package mutating func insert(_ key: FlowKey) -> UInt32? {
        guard let slot = tables.entries.insert(.init(key: key), &budget) else { return nil }
        guard table.insert(.entry(slot), hash: key.hash(secret), tables, secret, &budget) else {
            tables.entries.remove(slot, &budget)
            return nil
        }
        return slot
    }

    /// Takes all that is left of the budget, and says how much.
    package mutating func takeRest() -> Int {
        let rest = budget.remaining
        return budget.reserve(rest) ? rest : 0
    }

    package func find(_ key: FlowKey) -> UInt32? { table.find(key, hash: key.hash(secret), tables)?.slot }

    package mutating func remove(_ slot: UInt32) {
        table.remove(.entry(slot), hash: tables.entries[slot].key.hash(secret), tables, secret, &budget)
        tables.entries.remove(slot, &budget)
    }

    deinit {}
}

extension SmallEntry {
    /// An entry that says nothing but its key.
    fileprivate init(key: FlowKey) {
        self.init(
            key: key, info: [], send: SequenceNumber(0), receive: SequenceNumber(0), timestamp: 0, segmentSize: 0,
            shared: 0)
    }
}
