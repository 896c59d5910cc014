import TCPWire

// SEND and RECEIVE (RFC 9293 §3.10.2, §3.10.3).
extension Connection {
    /// Queues as many octets as there is room for; says how many. With `more`, what does not fill a segment waits for what
    /// the program will write next.
    package mutating func write(
        _ bytes: RawSpan, more: Bool = false, _ context: inout Context
    ) throws(ConnectionError) -> Int {
        switch state {
        case .synSent, .synReceived, .established, .closeWait:
            if flags.contains(.closeWanted) { throw .closing }
        case .closed, .listen: throw error ?? .notOpen
        default: throw .closing
        }
        let count = min(bytes.byteCount, room(context))
        noteWaiting(context)
        if isSynAcknowledged { noteApplicationLimited() }
        var stored = 0
        if count > 0 {
            stored = sendQueue.append(
                bytes.extracting(0..<count), keeping: context.budget.marks.keptBack, &context.pool, &context.budget)
        }
        if stored < count {
            // No acknowledgment of this connection may ever make room for it: memory that others give back does.
            flags.insert(.wantsMemory)
        } else if stored < bytes.byteCount {
            flags.insert(.wantsRoom)
            // Its share is less than its own limits: what others give back makes it larger.
            if isShort(context) { flags.insert(.wantsMemory) }
        }
        if more { flags.insert(.more) } else { flags.remove(.more) }
        return stored
    }

    /// Octets or a FIN are about to wait for the peer: the first since all was acknowledged wait from now.
    mutating func noteWaiting(_ context: borrowing Context) {
        if sendQueue.isEmpty, inFlight == 0 { progressAt = context.now }
    }

    /// Whether scarce memory leaves less room than the connection's own limits do.
    private func isShort(_ context: borrowing Context) -> Bool {
        let own = min(sendLimit(context) &- sendQueue.count, context.parameters.unsentBuffer &- unsent)
        return room(context) < own
    }

    /// Octets a write would take now, as far as the connection's own limits go and its share of scarce memory.
    package func room(_ context: borrowing Context) -> Int {
        let room = context.room(holding: sendQueue.count, limit: sendLimit(context))
        return max(0, min(room, context.parameters.unsentBuffer &- unsent))
    }

    /// Tells a writer that was refused once a third of what it may use is free: where the buffer is twice the congestion
    /// window, what still waits then lasts for a third of a round trip.
    mutating func offerRoom(_ context: borrowing Context) {
        guard flags.contains(.wantsRoom) else { return }
        let buffer = context.room(holding: sendQueue.count, limit: sendLimit(context)) &+ sendQueue.count
        let whole = min(buffer, context.parameters.unsentBuffer)
        guard room(context) >= max(1, whole / 3) else { return }
        flags.subtract([.wantsRoom, .wantsMemory])
        changes.insert(.writable)
    }

    /// Moves octets to `buffer`: how many, zero when none are there; `nil` at the end of the stream.
    package mutating func read(
        into buffer: inout MutableRawSpan, _ context: inout Context
    ) throws(ConnectionError) -> Int? {
        let count = min(buffer.byteCount, receiveQueue.count)
        if count > 0 {
            fitReceiveSpace(context)
            receiveQueue.copy(from: 0, count: count, to: &buffer, at: 0, context.pool)
            let keepsRest = reassembly.map { !$0.ranges.isEmpty } ?? false
            receiveQueue.removeFirst(count, keepsRest: keepsRest, &context.pool, &context.budget)
            if flags.contains(.urgent), receive.urgent <= receive.next + (-receiveQueue.count) { flags.remove(.urgent) }
            offerWindow(context)
            return count
        }
        if let error { throw error }
        switch state {
        case .synSent, .synReceived, .established, .finWait1, .finWait2: return 0
        default: return nil
        }
    }

    /// RFC 9293 §3.8.6.2.2: the peer is told of room once it is worth a segment: two full ones, or a quarter of the
    /// buffer, when the window it knows is less than half of what it could be.
    private mutating func offerWindow(_ context: borrowing Context) {
        guard isReceiving else { return }
        // Without scaling no window above 65535 octets can be told.
        let limit = min(receiveLimit(context), 65535 &<< Int(receive.scale))
        let known = advertisedWindow
        let room = min(limit &- receiveQueue.count, openWindow(context))
        // Only whole units can be told (RFC 7323 §2.3).
        let gain = (room &>> Int(receive.scale)) &<< Int(receive.scale) &- known
        guard gain >= min(limit / 2, Int(linkSegmentSize)) else { return }
        if known < Int(linkSegmentSize) || gain >= limit / 4 || known < limit / 2 && gain >= 2 &* Int(linkSegmentSize) {
            flags.insert(.acknowledgeNow)
        }
    }

    /// Whether a write was cut short by the budget, or by the share of it, rather than by the connection's own limit.
    package var wantsMemory: Bool { flags.contains(.wantsMemory) }

    /// There is memory again.
    package mutating func memoryReturned() {
        guard flags.contains(.wantsMemory) else { return }
        flags.remove(.wantsMemory)
        changes.insert(.writable)
    }

    /// Octets of urgent data ahead of the next read.
    package var urgentCount: Int {
        flags.contains(.urgent) ? max(0, receive.urgent.distance(from: receive.next + (-receiveQueue.count))) : 0
    }
}
