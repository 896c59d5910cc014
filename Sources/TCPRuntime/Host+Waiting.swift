internal import TCPEngine
internal import TCPStack
internal import TCPWire

/// A task that waits for something of a connection or listener. Resumed with `false` it was cancelled.
struct Waiter {
    var ticket: UInt64
    var continuation: UnsafeContinuation<Bool, Never>

    func wake() { continuation.resume(returning: true) }
}

/// What a task may wait for at a connection.
enum WaitKind: UInt8 {
    case open = 1
    case read = 2
    case write = 4
    case end = 8
}

/// Who waits at one connection. Kept by slot; a slot whose connection is gone has no `id`.
struct FlowRecord {
    var id: ConnectionID?
    var hasEnded = false
    /// The kinds that became ready while nobody waited: a task that has looked and is on its way to wait must not.
    private var missed: UInt8 = 0
    private var open: Waiter?
    private var read: Waiter?
    private var write: Waiter?
    private var end: Waiter?

    init(id: ConnectionID? = nil) { self.id = id }

    subscript(kind: WaitKind) -> Waiter? {
        get {
            switch kind {
            case .open: open
            case .read: read
            case .write: write
            case .end: end
            }
        }
        set {
            switch kind {
            case .open: open = newValue
            case .read: read = newValue
            case .write: write = newValue
            case .end: end = newValue
            }
        }
    }

    mutating func wake(_ kind: WaitKind) {
        guard let waiter = self[kind] else {
            missed |= kind.rawValue
            return
        }
        self[kind] = nil
        waiter.wake()
    }

    /// Whether it became ready since the last `willLook`.
    func hasMissed(_ kind: WaitKind) -> Bool { missed & kind.rawValue != 0 }

    /// A task is about to see for itself: what was missed before no longer counts.
    mutating func willLook(_ kind: WaitKind) { missed &= ~kind.rawValue }

    /// The connection is over, for whatever reason: nobody waits any longer.
    mutating func endAll() {
        hasEnded = true
        wake(.open)
        wake(.read)
        wake(.write)
        wake(.end)
    }
}

/// Who waits at one listener, in the order they came.
struct ListenerRecord {
    var waiters: [Waiter] = []
    /// A connection came while nobody waited.
    var hasMissed = false

    mutating func wakeAll() {
        hasMissed = waiters.isEmpty
        for waiter in waiters { waiter.wake() }
        waiters.removeAll(keepingCapacity: true)
    }
}

extension Host {
    /// Starts to keep a record of a connection.
    func adopt(_ id: ConnectionID) {
        let slot = Int(id.slot)
        while flows.count <= slot { flows.append(FlowRecord()) }
        flows[slot].endAll()
        flows[slot] = FlowRecord(id: id)
    }

    /// Ends the record; whoever still waits is woken and finds the handle invalid.
    func forget(_ id: ConnectionID) {
        guard isKnown(id) else { return }
        flows[Int(id.slot)].endAll()
        flows[Int(id.slot)] = FlowRecord()
    }

    /// See `FlowRecord.willLook`.
    func willLook(_ kind: WaitKind, at id: ConnectionID) {
        if isKnown(id) { flows[Int(id.slot)].willLook(kind) }
    }

    func isKnown(_ id: ConnectionID) -> Bool {
        flows.indices.contains(Int(id.slot)) && flows[Int(id.slot)].id == id
    }

    func wake(_ id: ConnectionID, _ readiness: Readiness) {
        guard isKnown(id) else { return }
        let slot = Int(id.slot)
        if readiness.contains(.ended) {
            flows[slot].endAll()
            return
        }
        if readiness.contains(.opened) { flows[slot].wake(.open) }
        if !readiness.isDisjoint(with: [.readable, .endOfStream]) { flows[slot].wake(.read) }
        if readiness.contains(.writable) { flows[slot].wake(.write) }
    }

    /// Waits for one kind of readiness; may return early, so callers look again.
    func wait(for kind: WaitKind, at id: ConnectionID) async throws(CancellationError) {
        let ticket = loop.nextTicket()
        let isReady = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let waiter = Waiter(ticket: ticket, continuation: continuation)
                if Task.isCancelled {
                    continuation.resume(returning: false)
                } else if !install(waiter, for: kind, at: id) {
                    continuation.resume(returning: true)
                }
            }
        } onCancel: {
            loop.onLoop { _ in self.here { $0.cancel(kind, at: id, ticket: ticket) } }
        }
        if !isReady { throw CancellationError() }
    }

    /// The same for a task that runs on the loop already, without a hop to the host and back.
    nonisolated(nonsending) func waitHere(for kind: WaitKind, at id: ConnectionID) async throws(CancellationError) {
        let ticket = loop.nextTicket()
        var isElsewhere = false
        let isReady = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let waiter = Waiter(ticket: ticket, continuation: continuation)
                if !loop.isCurrent {
                    // The task came to this thread by an actor of the loop's and prefers no executor: this closure left it.
                    isElsewhere = true
                    continuation.resume(returning: true)
                } else if Task.isCancelled {
                    continuation.resume(returning: false)
                } else if !here({ $0.install(waiter, for: kind, at: id) }) {
                    continuation.resume(returning: true)
                }
            }
        } onCancel: {
            loop.onLoop { _ in self.here { $0.cancel(kind, at: id, ticket: ticket) } }
        }
        if isElsewhere { return try await wait(for: kind, at: id) }
        if !isReady { throw CancellationError() }
    }

    /// Returns whether there is something to wait for.
    private func install(_ waiter: Waiter, for kind: WaitKind, at id: ConnectionID) -> Bool {
        guard isKnown(id), !flows[Int(id.slot)].hasEnded, !flows[Int(id.slot)].hasMissed(kind) else { return false }
        precondition(flows[Int(id.slot)][kind] == nil, "one task reads and one writes a connection at a time")
        flows[Int(id.slot)][kind] = waiter
        return true
    }

    private func cancel(_ kind: WaitKind, at id: ConnectionID, ticket: UInt64) {
        guard isKnown(id), let waiter = flows[Int(id.slot)][kind], waiter.ticket == ticket else { return }
        flows[Int(id.slot)][kind] = nil
        waiter.continuation.resume(returning: false)
    }

    /// Waits until a listener may have a connection to give, or has ended.
    func wait(at id: ListenerID) async throws(CancellationError) {
        let ticket = loop.nextTicket()
        let isReady = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                if Task.isCancelled {
                    continuation.resume(returning: false)
                } else if listeners[id]?.hasMissed ?? true {
                    continuation.resume(returning: true)
                } else {
                    listeners[id]?.waiters.append(Waiter(ticket: ticket, continuation: continuation))
                }
            }
        } onCancel: {
            loop.onLoop { _ in self.here { $0.cancel(at: id, ticket: ticket) } }
        }
        if !isReady { throw CancellationError() }
    }

    private func cancel(at id: ListenerID, ticket: UInt64) {
        guard let index = listeners[id]?.waiters.firstIndex(where: { $0.ticket == ticket }) else { return }
        listeners[id]?.waiters.remove(at: index).continuation.resume(returning: false)
    }
}
