internal import TCPEngine
internal import TCPStack
package import TCPWire

/// The other side of a server under load: honest clients on a stack of their own, ghosts, and a flood. Packets go in and come
/// out as with a stack, so that it runs in virtual time as well as over a device.
package struct LoadGenerator: ~Copyable {
    package let load: Load
    private var clients: Stack
    private var transfers: [ConnectionID: LoadTransfer] = [:]
    private var ghosts: [LoadGhost] = []
    private var ghostIndexes: [Endpoint: Int] = [:]
    /// A timer for each ghost that will do something by itself.
    private var timers = EventQueue()
    private var outbox: [[UInt8]] = []
    private var outboxHead = 0
    private var random: SimulationRandom
    private let start: Instant
    private var begun = 0
    /// Forged SYNs sent.
    package private(set) var forged = 0
    /// Transfers that ended well, with all octets right; and those that did not.
    package private(set) var served = 0
    package private(set) var failed = 0
    /// How often a client had no octet back before its connection was reset: the server had no room, and it tries again.
    package private(set) var refused = 0
    private var nextSeed: UInt64 = 0
    /// Octets that came back right.
    package private(set) var octets = 0
    /// How long the longest handshake of an honest client took.
    package private(set) var longestOpening = Duration.zero

    package init(_ load: Load, at now: Instant) {
        self.load = load
        start = now
        random = SimulationRandom(seed: load.seed)
        var configuration = Configuration()
        configuration.memoryBudget = 1 << 30
        configuration.maximumSegmentLifetime = .seconds(1)
        configuration.userTimeout = .seconds(3600)
        configuration.openTimeout = .seconds(3600)
        clients = Stack(configuration: configuration, secret: StackSecret(5, load.seed), at: now)
        let isIPv4 = load.server.address.isIPv4
        clients.addAddress(
            AddressPrefix(LoadGenerator.address(2, load.server.address), length: isIPv4 ? 8 : 64))
        makeGhosts()
    }

    deinit {}

    /// Host `number` of the server's network.
    private static func address(_ number: Int, _ server: IPAddress) -> IPAddress {
        server.isIPv4
            ? IPAddress(ipv4: 0x0A00_0000 | UInt32(number))
            : IPAddress(high: server.high ^ UInt64(number &>> 8), low: UInt64(number))
    }

    private mutating func makeGhosts() {
        var kinds: [LoadGhostKind] = []
        for kind in LoadGhostKind.allCases {
            let count = kind == .neverReads ? load.neverReading : load.vanishing
            for _ in 0..<count { kinds.append(kind) }
        }
        kinds.shuffle(using: &random)
        for (index, kind) in kinds.enumerated() {
            let endpoint = Endpoint(LoadGenerator.address(0x1_0000 + index, load.server.address), 40_000)
            let at = start.advanced(byNanoseconds: random.below(max(1, load.opening.nanoseconds)))
            ghosts.append(
                LoadGhost(
                    kind, endpoint, load.server, initial: SequenceNumber(UInt32(truncatingIfNeeded: random.next())),
                    at: at))
            ghostIndexes[endpoint] = index
            timers.push(.action, slot: index, at: at.nanoseconds)
        }
    }

    // MARK: Time

    /// Whether every honest client has ended.
    package var isServed: Bool { served + failed >= load.transferring }

    private var nextBeginning: Instant? {
        guard begun < load.transferring else { return nil }
        return start.advanced(byNanoseconds: load.opening.nanoseconds / Int64(load.transferring) * Int64(begun))
    }

    private var nextForgery: Instant? {
        guard load.forgedSyns > 0, forged < load.mostForged, !isServed else { return nil }
        return start.advanced(byNanoseconds: Int64(forged) * 1_000_000_000 / Int64(load.forgedSyns))
    }

    /// When `advance` is next wanted.
    package var nextDeadline: Instant? {
        [
            nextBeginning, nextForgery, clients.nextDeadline, timers.earliest.map { Instant(nanoseconds: $0) },
        ].compactMap { $0 }.min()
    }

    /// Does what is due.
    package mutating func advance(to now: Instant) {
        clients.advance(to: now)
        while let time = nextBeginning, time <= now { begin(at: now) }
        while let time = nextForgery, time <= now { forge() }
        while let time = timers.earliest, time <= now.nanoseconds, let entry = timers.pop() {
            fire(Int(entry.slot), now)
        }
        serveClients(at: now)
    }

    private mutating func fire(_ index: Int, _ now: Instant) {
        if ghosts[index].at <= now, let packet = ghosts[index].fire(at: now) { outbox.append(packet) }
        let next = ghosts[index].at
        if next < .distantFuture { timers.push(.action, slot: index, at: max(next, now).nanoseconds) }
    }

    private mutating func forge() {
        forged += 1
        let bits = random.next()
        let number = 0x40_0000 + Int(truncatingIfNeeded: bits & 0x3F_FFFF)
        let source = Endpoint(
            LoadGenerator.address(number, load.server.address), UInt16(truncatingIfNeeded: bits &>> 32) | 1024)
        var options = TCPOptions()
        options.maximumSegmentSize = 1460
        outbox.append(
            RawSegment.packet(
                from: source, to: load.server, sequence: SequenceNumber(UInt32(truncatingIfNeeded: bits &>> 20)),
                flags: .syn, options: options))
    }

    /// The load goes: peers that would go on for ever leave without a word.
    package mutating func leave() {
        for index in ghosts.indices {
            ghosts[index].phase = .gone
            ghosts[index].at = .distantFuture
        }
    }

    // MARK: Packets

    /// Takes a packet from the server.
    package mutating func receive(_ packet: [UInt8], at now: Instant) {
        let bytes = packet.span.bytes
        guard let ip = try? IPHeader(parsing: bytes), ip.protocolNumber == IPProtocol.tcp,
            let header = try? TCPHeader(parsing: bytes.extracting(ip.headerLength..<ip.totalLength))
        else { return }
        guard let index = ghostIndexes[Endpoint(ip.destination, header.destinationPort)] else {
            clients.receive(bytes, at: now)
            serveClients(at: now)
            return
        }
        let payload = ip.totalLength - ip.headerLength - header.headerLength
        if let answer = ghosts[index].receive(header, payload: payload, at: now) { outbox.append(answer) }
    }

    /// The next packet to the server.
    package mutating func transmit(at now: Instant) -> [UInt8]? {
        if outboxHead < outbox.count {
            let packet = outbox[outboxHead]
            outboxHead += 1
            if outboxHead == outbox.count {
                outbox.removeAll(keepingCapacity: true)
                outboxHead = 0
            }
            return packet
        }
        var octets = [UInt8](repeating: 0, count: 1500)
        guard let sent = LoadGenerator.transmit(&clients, into: &octets, at: now) else { return nil }
        octets.removeLast(octets.count - sent)
        return octets
    }

    private static func transmit(_ stack: inout Stack, into octets: inout [UInt8], at now: Instant) -> Int? {
        var span = octets.mutableSpan
        var bytes = span.mutableBytes
        return stack.transmit(into: &bytes, at: now)?.length
    }

    // MARK: Honest clients

    private mutating func begin(at now: Instant) {
        begun += 1
        connect(at: now)
    }

    private mutating func connect(at now: Instant) {
        nextSeed += 1
        guard let id = try? clients.connect(to: load.server, at: now) else {
            failed += 1
            return
        }
        transfers[id] = LoadTransfer(octets: load.octets, seed: nextSeed, at: now)
    }

    private mutating func serveClients(at now: Instant) {
        while let event = clients.nextEvent() {
            guard case .connection(let id, let readiness) = event, var transfer = transfers[id] else { continue }
            if readiness.contains(.opened) { longestOpening = max(longestOpening, now - transfer.begun) }
            transfer.run(&clients, id, at: now)
            if transfer.isOver || readiness.contains(.ended) {
                let isRefused = transfer.received == 0 && load.octets > 0
                if transfer.isWhole { served += 1 } else if isRefused { refused += 1 } else { failed += 1 }
                octets += transfer.received
                clients.release(id, at: now)
                transfers[id] = nil
                if isRefused { connect(at: now) }
            } else {
                transfers[id] = transfer
            }
        }
    }
}
