import TCPEngine
package import TCPWire

// TCP Fast Open (RFC 7413): who opens at once, who is given a cookie, and what is remembered of servers.

/// What a SYN wants of Fast Open.
enum FastOpenRequest: Equatable {
    /// Nothing, or nothing it can have.
    case none
    /// A cookie: it asks for one, or its own is not good (RFC 7413 §4.2.2).
    case giveCookie
    /// To open at once; whether its cookie is of the key before.
    case open(renews: Bool)
}

/// The connections of a listener that came by Fast Open and have not shaken hands, PendingFastOpenRequests of RFC 7413
/// §4.2.2. A reset takes none of them away at once (§5.1): those that one ended are counted by the interval it came in, and
/// count for the rest of it and for the next.
struct PendingFastOpens {
    /// Those that are there.
    var count = 0
    private var resets = 0
    private var earlierResets = 0
    private var interval: Int64 = 0

    /// All that count, at that interval.
    func total(_ now: Int64) -> Int {
        count &+ (now == interval ? resets &+ earlierResets : now == interval &+ 1 ? resets : 0)
    }

    /// One was reset at that interval.
    mutating func noteReset(_ now: Int64) {
        if now != interval {
            earlierResets = now == interval &+ 1 ? resets : 0
            resets = 0
            interval = now
        }
        resets &+= 1
    }
}

// MARK: Server

extension Stack {
    /// RFC 7413 §4.2.2, IsCookieValid.
    mutating func fastOpenRequest(_ header: TCPHeader, _ key: FlowKey, _ listener: Int) -> FastOpenRequest {
        guard let cookie = header.options.fastOpen, usesFastOpen(listener) else { return .none }
        if cookie.isRequest { return .giveCookie }
        switch check(cookie, key) {
        case .good: return .open(renews: false)
        case .old: return .open(renews: true)
        case .bad:
            counts.fastOpenCookiesRefused &+= 1
            return .giveCookie
        }
    }

    private func usesFastOpen(_ listener: Int) -> Bool {
        listeners[listener].options.fastOpen ?? configuration.fastOpen
    }

    private var resetInterval: Int64 {
        context.now.nanoseconds / max(configuration.fastOpenResetHold.nanoseconds, 1_000_000)
    }

    /// PendingFastOpenRequests.
    func pendingFastOpens(_ listener: Int) -> Int { listeners[listener].fastOpen.total(resetInterval) }

    /// Whether a good cookie opens a connection at once: within the limit of those pending, of which one source takes no more
    /// than its share (RFC 7413 §5.1), and only where a half-open entry would have been kept as well. Under pressure, where
    /// SYNs get cookies of RFC 4987, all shake hands first.
    mutating func mayOpenFast(_ key: FlowKey, _ listener: Int) -> Bool {
        let limit = listeners[listener].options.fastOpenPending ?? configuration.fastOpenPending
        if configuration.synCookies != .always, pendingFastOpens(listener) < limit,
            sources.count(key, secret, port: key.localPort, isFastOpen: true) < share(of: limit),
            mayKeepEntry(key, listener)
        {
            return true
        }
        counts.fastOpensOverLimit &+= 1
        return false
    }

    /// Makes a connection in SYN-RECEIVED, with the octets of its SYN, and hands it to the program (RFC 7413 §4.2.2). Says
    /// whether there was memory; without, the SYN is one like any other.
    mutating func openFast(
        _ header: TCPHeader, _ payload: RawSpan, _ key: FlowKey, _ hash: UInt32, _ listener: Int,
        initial: SequenceNumber, givesCookie: Bool
    ) -> Bool {
        makeRoom(for: Slab<ConnectionRecord>.chunkBytes &+ 2 &* flowTable.bytes)
        guard listeners[listener].queue.reserve(keeping: context.budget.marks.keptBack, &context.budget) else {
            return false
        }
        let connection = makeConnection(
            key, state: .synReceived, initial: initial, listeners[listener].options,
            windowScale: listeners[listener].windowScale)
        guard let new = insertRecord(key, connection) else {
            listeners[listener].queue.giveBack(&context.budget)
            return false
        }
        guard flowTable.insert(.connection(new), hash: hash, tables, secret, &context.budget) else {
            tables.connections.remove(new, &context.budget)
            listeners[listener].queue.giveBack(&context.budget)
            return false
        }
        tables.connections[new].marks.formUnion([.inTable, .pendingFastOpen])
        tables.connections[new].listener = UInt16(listener)
        tables.connections[new].connection.openFast(header, payload, givesCookie: givesCookie, &context)
        listeners[listener].fastOpen.count &+= 1
        sources.add(key, secret, isFastOpen: true)
        counts.fastOpensAccepted &+= 1
        record(key, from: .listen, to: .synReceived)
        queue(new, listener)
        settle(new)
        return true
    }

    /// Once the third segment has come, or the connection has ended, it is not pending any more; ended by a reset, it counts
    /// for a time all the same: else who spoofs SYNs and resets would have no limit (RFC 7413 §5.1).
    mutating func settlePending(_ slot: UInt32) {
        guard !tables.connections[slot].connection.awaitsThirdSegment else { return }
        let listener = Int(tables.connections[slot].listener)
        if tables.connections[slot].connection.error == .reset {
            listeners[listener].fastOpen.noteReset(resetInterval)
        }
        endPending(slot, listener)
    }

    private mutating func endPending(_ slot: UInt32, _ listener: Int) {
        tables.connections[slot].marks.remove(.pendingFastOpen)
        listeners[listener].fastOpen.count &-= 1
        sources.remove(tables.connections[slot].key, secret, isFastOpen: true)
    }

    /// A listener ends: what its program has accepted already goes on, and nobody counts it.
    mutating func forgetPending(of listener: Int) {
        var next = listeners[listener].fastOpen.count > 0 ? tables.connections.next(from: 0) : nil
        while let slot = next, listeners[listener].fastOpen.count > 0 {
            if tables.connections[slot].marks.contains(.pendingFastOpen),
                Int(tables.connections[slot].listener) == listener
            {
                endPending(slot, listener)
            }
            next = tables.connections.next(from: slot &+ 1)
        }
    }

    /// What must hold of those that are pending.
    func auditPending() -> StaticString? {
        var pending = 0
        var slot = tables.connections.next(from: 0)
        while let index = slot {
            if tables.connections[index].marks.contains(.pendingFastOpen) {
                pending &+= 1
                let listener = Int(tables.connections[index].listener)
                guard listener < listeners.count, listeners[listener].isOpen,
                    tables.connections[index].connection.awaitsThirdSegment
                else { return "a connection is pending that has no listener, or has shaken hands" }
            }
            slot = tables.connections.next(from: index &+ 1)
        }
        for listener in listeners { pending &-= listener.fastOpen.count }
        return pending == 0 ? nil : "connections that came by Fast Open are miscounted"
    }
}

// MARK: Client

extension Stack {
    /// Gives a connection that is about to send its first SYN, or SYN-ACK, what it may take along.
    mutating func offerFastOpen(_ slot: UInt32, _ key: FlowKey) {
        guard tables.connections[slot].connection.state == .synSent else {
            context.fastOpenOffer = FastOpenOffer(cookie: fastOpenCookie(key))
            return
        }
        guard let server = fastOpenCookies.use(key, secret, at: context.now) else {
            context.fastOpenOffer = FastOpenOffer(cookie: .request)
            return
        }
        // RFC 7413 §4.1.3.1: where it failed lately there is neither option nor data.
        guard server.avoidedUntil <= context.now else { return }
        context.fastOpenOffer = FastOpenOffer(cookie: server.cookie, segmentSize: Int(server.segmentSize))
    }

    /// The SYN-ACK came (RFC 7413 §4.2.1): what it says is remembered of the server.
    mutating func noteFastOpen(_ slot: UInt32, _ outcome: FastOpenOutcome) {
        context.fastOpenOutcome = nil
        if outcome.isTaken { counts.fastOpensTaken &+= 1 }
        if outcome.isNegative {
            avoidFastOpen(slot)
        } else if let cookie = outcome.cookie {
            let size = tables.connections[slot].connection.peerSegmentSize
            fastOpenCookies.update(
                tables.connections[slot].key, secret, at: context.now, &context.budget
            ) {
                $0.cookie = cookie
                $0.segmentSize = size
                $0.avoidedUntil = .zero
            }
        }
    }

    /// RFC 7413 §4.1.3.1: what went with the SYN was lost on the way, or the server ignored it.
    mutating func avoidFastOpen(_ slot: UInt32) {
        counts.fastOpenFallbacks &+= 1
        let end = context.now.advanced(byNanoseconds: configuration.fastOpenRetryInterval.nanoseconds)
        fastOpenCookies.update(tables.connections[slot].key, secret, at: context.now, &context.budget) {
            $0.avoidedUntil = end
        }
    }

    /// Whether a connection to that server could take octets along with its SYN.
    package func hasFastOpenCookie(for remote: Endpoint) -> Bool {
        guard let local = try? sourceAddress(for: remote.address, nil, on: nil) else { return false }
        let key = FlowKey(remote: remote.address, remotePort: remote.port, local: local, localPort: 0)
        guard let server = fastOpenCookies.known(key, secret) else { return false }
        return !server.cookie.isRequest && server.avoidedUntil <= context.now
    }
}
