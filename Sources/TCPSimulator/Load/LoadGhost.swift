internal import TCPWire

/// A peer that goes without a word once the server is in a certain state, or that never reads. It is played by hand: it
/// keeps three numbers and no octets.
struct LoadGhost {
    enum Phase: UInt8 { case waiting, synSent, open, gone }

    let kind: LoadGhostKind
    let endpoint: Endpoint
    let server: Endpoint
    let initial: SequenceNumber
    var phase = Phase.waiting
    /// SND.NXT and RCV.NXT.
    var next: SequenceNumber
    var received = SequenceNumber(0)
    /// Octets that came and are never read.
    private var unread = 0
    /// What the server has acknowledged.
    var acknowledged: SequenceNumber
    var tries = 0
    /// When it begins, or tries again.
    var at: Instant

    init(_ kind: LoadGhostKind, _ endpoint: Endpoint, _ server: Endpoint, initial: SequenceNumber, at: Instant) {
        self.kind = kind
        self.endpoint = endpoint
        self.server = server
        self.initial = initial
        self.at = at
        next = initial
        acknowledged = initial
    }

    /// Octets it will take.
    private var window: Int { kind == .neverReads ? 4_000 : 8_000 }
    private static let chunk = [UInt8](repeating: 7, count: 1_000)

    private var request: [UInt8] {
        switch kind {
        case .synReceived: []
        case .established: LoadRequest.send.encoded(size: 6_000)
        case .finWait1, .finWait2, .closing, .timeWait: LoadRequest.close.encoded(size: 0)
        case .closeWait: LoadRequest.send.encoded(size: 60_000)
        case .lastAck: LoadRequest.wait.encoded(size: 0)
        case .neverReads: LoadRequest.echo.encoded(size: 0)
        }
    }

    private var closesFirst: Bool { kind == .closeWait || kind == .lastAck }

    private func packet(
        _ flags: TCPFlags, _ sequence: SequenceNumber, _ payload: [UInt8] = [], window: Int? = nil
    ) -> [UInt8] {
        var options = TCPOptions()
        if flags.contains(.syn) { options.maximumSegmentSize = 1460 }
        return RawSegment.packet(
            from: endpoint, to: server, sequence: sequence, acknowledgment: received, flags: flags,
            window: UInt16(window ?? self.window), options: options, payload: payload)
    }

    /// Its time has come: it begins, or says the last thing again.
    mutating func fire(at now: Instant) -> [UInt8]? {
        guard phase != .gone, tries < 600 else {
            phase = .gone
            at = .distantFuture
            return nil
        }
        tries += 1
        at = now + .seconds(tries < 3 ? 1 : 3)
        switch phase {
        case .waiting, .synSent:
            phase = .synSent
            next = initial + 1
            return packet(.syn, initial)
        case .open:
            if acknowledged > initial + 1 {
                // What was sent last is still on its way, or was dropped for want of memory.
                let unacknowledged = next.distance(from: acknowledged)
                guard kind == .neverReads, unacknowledged > 0 else { return nil }
                return packet(
                    [.ack, .psh], acknowledged, [UInt8](repeating: 7, count: unacknowledged),
                    window: max(0, window - unread))
            }
            return openingSegment
        case .gone: return nil
        }
    }

    /// The third segment, with the request and what else the kind says at once.
    private var openingSegment: [UInt8] {
        let end: TCPFlags = closesFirst ? [.ack, .psh, .fin] : [.ack, .psh]
        return packet(end, initial + 1, request)
    }

    /// A segment of the server; what it answers.
    mutating func receive(_ header: TCPHeader, payload: Int, at now: Instant) -> [UInt8]? {
        if header.flags.contains(.rst) { phase = .gone }
        if phase == .gone {
            at = .distantFuture
            return nil
        }
        if phase == .synSent {
            guard header.flags == [.syn, .ack], header.acknowledgment == initial + 1 else { return nil }
            received = header.sequence + 1
            if kind == .synReceived {
                leave()
                return nil
            }
            phase = .open
            next = initial + 1 + request.count + (closesFirst ? 1 : 0)
            tries = 0
            at = now + .seconds(1)
            return openingSegment
        }
        guard phase == .open, !header.flags.contains(.syn) else { return nil }
        if header.acknowledgment > acknowledged {
            acknowledged = header.acknowledgment
            tries = 0
        }
        if kind == .neverReads { return keepOn(header, payload, at: now) }
        return act(header, payload)
    }

    private mutating func leave() {
        phase = .gone
        at = .distantFuture
    }

    /// What the kind does once the server's part is there.
    private mutating func act(_ header: TCPHeader, _ payload: Int) -> [UInt8]? {
        let hasAll = acknowledged == next
        let hasFin = header.flags.contains(.fin) && header.sequence + payload == received
        switch kind {
        case .synReceived, .neverReads: return nil
        case .established, .closeWait, .finWait1:
            // The server's octets, or its FIN, are out by now.
            if hasAll { leave() }
            return nil
        case .lastAck:
            if hasAll, hasFin { leave() }
            return nil
        case .finWait2:
            guard hasFin else { return nil }
            received += 1
            leave()
            return packet(.ack, next)
        case .closing:
            if hasFin, next == initial + 1 + request.count {
                // Its own FIN, with the server's not acknowledged: they crossed.
                next += 1
                return packet([.fin, .ack], next + -1)
            }
            if hasAll, next > initial + 1 + request.count { leave() }
            return nil
        case .timeWait:
            if hasFin {
                received += 1
                next = initial + 2 + request.count
                return packet([.fin, .ack], next + -1)
            }
            if hasAll, next > initial + 1 + request.count { leave() }
            return nil
        }
    }

    /// Takes what its window holds, sends on while the server takes it, and answers every probe.
    private mutating func keepOn(_ header: TCPHeader, _ payload: Int, at now: Instant) -> [UInt8]? {
        if payload > 0, header.sequence == received, unread + payload <= window {
            received += payload
            unread += payload
        }
        let left = max(0, window - unread)
        at = now + .seconds(20)
        let room = Int(header.window) - next.distance(from: header.acknowledgment)
        if acknowledged == next, room >= LoadGhost.chunk.count {
            let start = next
            next += LoadGhost.chunk.count
            return packet([.ack, .psh], start, LoadGhost.chunk, window: left)
        }
        return payload > 0 ? packet(.ack, next, window: left) : nil
    }
}
