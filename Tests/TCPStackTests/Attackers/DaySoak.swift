import TCPEngine
import TCPStack
import TCPWire
import Testing

/// A day of two hosts on a bad wire: connections come and go in every way there is, and every octet is checked.
final class DaySoak {
    /// What becomes of a conversation.
    enum Kind: UInt8, CaseIterable {
        /// The server answers and closes; the client closes then.
        case plain
        /// The client closes when it has asked, and the answer comes to a half-closed connection.
        case halfClosed
        /// The client aborts after a while.
        case clientAborts
        /// The server aborts when it knows who asks.
        case serverAborts
        /// From some moment on nothing passes between the two.
        case vanishes
        /// The server does not read for a while: the window shuts and opens.
        case stalls
        /// The server never reads on.
        case hostage
        /// The client writes and lets go.
        case letsGo
        /// The server answers and lets go with octets unread.
        case unread
        /// Nobody listens on the port.
        case refused
    }

    /// One end of a conversation.
    struct Side {
        var kind: Kind
        var key: UInt32
        /// Octets of the question with its head, and of the answer.
        var question: Int
        var answer: Int
        var sent = 0
        var read = 0
        var head: [UInt8] = []
        var isStalled = false
        var isClosed = false
        var port: UInt16 = 0
    }

    enum Deed {
        case start
        case clientAborts(ConnectionID)
        case vanishes(UInt16)
        case returns(UInt16)
        case reads(ConnectionID)
        case outage
    }

    static let headLength = 16

    let family: Family
    let configuration: Configuration
    let total: Int
    private(set) var clientStack: Stack
    private(set) var serverStack: Stack
    private(set) var now = Instant.zero
    private(set) var wire: FaultyWire
    private var deeds = Agenda<Deed>()
    private var random: Pseudorandom
    private var clients: [ConnectionID: Side] = [:]
    private var servers: [ConnectionID: Side] = [:]
    private var listener: ListenerID?
    private var buffer = [UInt8](repeating: 0, count: 4096)
    private let day: Duration
    private(set) var started = 0
    /// How many conversations of each kind began, and how many of them the client saw to their proper end.
    private(set) var begun = [Int](repeating: 0, count: Kind.allCases.count)
    private(set) var proper = [Int](repeating: 0, count: Kind.allCases.count)
    private(set) var errors: [ConnectionError: Int] = [:]
    private(set) var octets = 0
    private(set) var mostConnections = 0
    private(set) var mostMemory = 0
    /// What went wrong first.
    private(set) var failure: String?
    private(set) var audits = 0
    private var auditCountdown = 0

    init(_ family: Family, connections: Int, day: Duration = .seconds(86_400), seed: UInt64) {
        self.family = family
        self.day = day
        total = connections
        var configuration = Configuration()
        configuration.memoryBudget = 32 << 20
        configuration.receiveBuffer = 8 << 10
        configuration.sendBuffer = 32 << 10
        configuration.userTimeout = .seconds(30)
        configuration.openTimeout = .seconds(30)
        configuration.zeroWindowTimeout = .seconds(60)
        configuration.orphanTimeout = .seconds(30)
        self.configuration = configuration
        clientStack = Stack(configuration: configuration, secret: StackSecret(seed, 1))
        serverStack = Stack(configuration: configuration, secret: StackSecret(seed, 2))
        clientStack.addAddress(AddressPrefix(family.address(1), length: family.prefixLength))
        serverStack.addAddress(AddressPrefix(family.address(2), length: family.prefixLength))
        wire = FaultyWire(seed: seed ^ 0x5EED)
        random = Pseudorandom(seed: seed)
        listener = try? serverStack.listen(on: 80, options: options, at: now)
        deeds.add(.start, at: now)
        deeds.add(.outage, at: now + .seconds(600))
    }

    private var options: ConnectionOptions {
        var options = ConnectionOptions()
        options.keepAliveIdle = .seconds(90)
        options.keepAliveInterval = .seconds(10)
        options.keepAliveProbes = 3
        return options
    }

    /// What hosts hold that never had a connection, the server's listener included.
    static func empty(_ family: Family) -> (client: Int, server: Int) {
        let soak = DaySoak(family, connections: 0, seed: 1)
        return (soak.clientStack.memory.total, soak.serverStack.memory.total)
    }

    /// Whether everything is over: nothing on the wire, no timer, no conversation.
    private var isOver: Bool {
        started == total && wire.isEmpty && clients.isEmpty && servers.isEmpty && clientStack.nextDeadline == nil
            && serverStack.nextDeadline == nil
    }

    /// Lives the day, and as long as it takes for the last connection to end. Stops at the first failure.
    func run() {
        while failure == nil, !isOver {
            let times = [deeds.first, wire.next, clientStack.nextDeadline, serverStack.nextDeadline]
            var next = Instant.distantFuture
            for case let time? in times { next = min(next, time) }
            guard next != .distantFuture else {
                fail("nothing is to come, and \(clients.count) clients and \(servers.count) servers wait")
                return
            }
            now = max(now, next)
            if now > Instant.zero + day + .seconds(3600) {
                fail("an hour after the day it is not over")
                return
            }
            while let deed = deeds.next(at: now) { perform(deed) }
            while let packet = wire.receive(at: now) {
                if packet.toServer {
                    serverStack.receive(packet.octets.span.bytes, at: now)
                } else {
                    clientStack.receive(packet.octets.span.bytes, at: now)
                }
                settle()
            }
            clientStack.advance(to: now)
            serverStack.advance(to: now)
            settle()
            audit()
        }
    }

    private func fail(_ text: String) { failure = failure ?? "\(text), at \(now.nanoseconds / 1_000_000) ms" }

    private func audit() {
        auditCountdown -= 1
        guard auditCountdown < 0 else { return }
        auditCountdown = attacks(2_000, debug: 500)
        audits += 1
        if let fault = clientStack.audit() { fail("the client's stack: \(fault)") }
        if let fault = serverStack.audit() { fail("the server's stack: \(fault)") }
        mostConnections = max(mostConnections, serverStack.memory.connectionCount)
        mostMemory = max(mostMemory, serverStack.memory.total)
    }

    // MARK: Deeds

    private func perform(_ deed: Deed) {
        switch deed {
        case .start: start()
        case .clientAborts(let id):
            if let side = clients[id] { end(side, id, .clientAborts) { clientStack.abort(id, at: now) } }
        case .vanishes(let port):
            wire.vanished.insert(port)
            deeds.add(.returns(port), at: now + .seconds(400))
        case .returns(let port): wire.vanished.remove(port)
        case .reads(let id):
            servers[id]?.isStalled = false
            serve(id)
        case .outage:
            wire.outage = now + .milliseconds(Int64(random.next() % 3_000))
            if started < total { deeds.add(.outage, at: now + .seconds(Int64(300 + random.next() % 600))) }
        }
        settle()
    }

    private func start() {
        guard started < total else { return }
        started += 1
        let kind = Kind.allCases[Int(random.next() % UInt64(Kind.allCases.count))]
        begun[Int(kind.rawValue)] += 1
        let isLong = kind == .stalls || kind == .hostage || kind == .vanishes || kind == .unread
        let question = DaySoak.headLength + Int(random.next() % 1_500) + (isLong ? 24_000 : 0)
        var side = Side(
            kind: kind, key: UInt32(truncatingIfNeeded: random.next()), question: question,
            answer: 1 + Int(random.next() % 3_000))
        do {
            let remote = Endpoint(family.address(2), kind == .refused ? 81 : 80)
            let id = try clientStack.connect(to: remote, options: options, at: now)
            side.port = clientStack.status(of: id)?.local.port ?? 0
            clients[id] = side
            switch kind {
            case .clientAborts: deeds.add(.clientAborts(id), at: now + .milliseconds(Int64(random.next() % 100)))
            case .vanishes: deeds.add(.vanishes(side.port), at: now + .milliseconds(Int64(random.next() % 100)))
            default: break
            }
        } catch {
            fail("connect threw \(error)")
        }
        let mean = day.nanoseconds / Int64(max(total, 1))
        if started < total {
            deeds.add(.start, at: now + .nanoseconds(Int64(random.next() % UInt64(max(2 * mean, 1)))))
        }
    }

    // MARK: Both ends

    private func octet(_ key: UInt32, _ index: Int, isAnswer: Bool) -> UInt8 {
        UInt8(truncatingIfNeeded: Int(key) &+ index &* 7 &+ index >> 8 &* 13 &+ (isAnswer ? 101 : 0))
    }

    private func head(_ side: Side) -> [UInt8] {
        [side.kind.rawValue, 0, 0, 0] + big32(side.key) + big32(UInt32(side.question)) + big32(UInt32(side.answer))
    }

    /// Takes what the stacks have to tell and to send until there is nothing more.
    private func settle() {
        var isBusy = true
        while isBusy, failure == nil {
            isBusy = false
            while let event = clientStack.nextEvent() {
                isBusy = true
                if case .connection(let id, _) = event { ask(id) }
            }
            while let event = serverStack.nextEvent() {
                isBusy = true
                switch event {
                case .acceptable(let listener): accept(listener)
                case .connection(let id, _): serve(id)
                default: break
                }
            }
            if transmit(&clientStack, toServer: true) { isBusy = true }
            if transmit(&serverStack, toServer: false) { isBusy = true }
        }
    }

    private func transmit(_ stack: inout Stack, toServer: Bool) -> Bool {
        var sent = false
        while let packet = DaySoak.packet(of: &stack, &buffer, at: now) {
            sent = true
            wire.send(packet, toServer: toServer, at: now)
        }
        return sent
    }

    private static func packet(of stack: inout Stack, _ buffer: inout [UInt8], at now: Instant) -> [UInt8]? {
        let sent: TransmittedPacket?
        do {
            var octets = buffer.mutableSpan
            var span = octets.mutableBytes
            sent = stack.transmit(into: &span, at: now)
        }
        return sent.map { Array(buffer[0..<$0.length]) }
    }

    private static func read(
        _ stack: inout Stack, _ id: ConnectionID, _ buffer: inout [UInt8], at now: Instant
    ) throws(ConnectionError) -> ReadResult {
        var octets = buffer.mutableSpan
        var span = octets.mutableBytes
        return try stack.read(id, into: &span, at: now)
    }

    // MARK: The client

    /// The client's turn: it asks, reads the answer, and ends as its kind has it.
    private func ask(_ id: ConnectionID) {
        guard var side = clients[id] else { return }
        do throws(ConnectionError) {
            while side.sent < side.question {
                guard clientStack.status(of: id)?.state != .synSent else { break }
                let count = min(2048, side.question - side.sent)
                var octets = (side.sent..<side.sent + count).map { octet(side.key, $0, isAnswer: false) }
                if side.sent < DaySoak.headLength {
                    octets.replaceSubrange(0..<min(count, 16), with: head(side).prefix(count))
                }
                let taken = try clientStack.write(id, octets.span.bytes, at: now)
                side.sent += taken
                if taken < count { break }
            }
            if side.sent == side.question, !side.isClosed {
                if side.kind == .halfClosed || side.kind == .hostage {
                    side.isClosed = true
                    try clientStack.close(id, at: now)
                } else if side.kind == .letsGo {
                    return end(side, id, .letsGo) { clientStack.release(id, at: now) }
                }
            }
            clients[id] = side
            while true {
                let result = try DaySoak.read(&clientStack, id, &buffer, at: now)
                guard case .bytes(let count) = result else {
                    if result == .endOfStream { finish(side, id) }
                    return
                }
                for index in 0..<count where buffer[index] != octet(side.key, side.read + index, isAnswer: true) {
                    return fail("octet \(side.read + index) of an answer is wrong")
                }
                side.read += count
                octets += count
                clients[id] = side
            }
        } catch {
            errors[error, default: 0] += 1
            let expected: [Kind: ConnectionError] = [
                .serverAborts: .reset, .refused: .refused, .hostage: .timedOut, .vanishes: .timedOut, .unread: .reset,
            ]
            if expected[side.kind] == error { proper[Int(side.kind.rawValue)] += 1 }
            clients[id] = nil
            clientStack.release(id, at: now)
        }
    }

    private func end(_ side: Side, _ id: ConnectionID, _ kind: Kind, _ act: () -> Void) {
        proper[Int(kind.rawValue)] += 1
        clients[id] = nil
        act()
    }

    /// The client has the whole answer.
    private func finish(_ side: Side, _ id: ConnectionID) {
        // One that was to be aborted, or to vanish, may have been quicker.
        if side.read == side.answer {
            proper[Int(side.kind.rawValue)] += 1
        } else {
            fail("an answer of \(side.answer) octets ended after \(side.read)")
        }
        clients[id] = nil
        clientStack.release(id, at: now)
    }

    // MARK: The server

    private func accept(_ listener: ListenerID) {
        while let id = serverStack.accept(listener) {
            servers[id] = Side(kind: .plain, key: 0, question: DaySoak.headLength, answer: 0)
            serve(id)
        }
    }

    private func serve(_ id: ConnectionID) {
        guard servers[id] != nil else { return }
        do throws(ConnectionError) {
            try serveReads(id)
            guard let side = servers[id], side.head.count == DaySoak.headLength else { return }
            let hasAll = side.read == side.question
            if side.kind != .halfClosed, side.kind != .letsGo, hasAll || side.kind == .unread { try reply(id) }
        } catch {
            servers[id] = nil
            serverStack.release(id, at: now)
        }
    }

    private func serveReads(_ id: ConnectionID) throws(ConnectionError) {
        while var side = servers[id] {
            if side.isStalled {
                // It learns of the end all the same.
                if serverStack.status(of: id)?.state == .closed { throw .reset }
                return
            }
            let result = try DaySoak.read(&serverStack, id, &buffer, at: now)
            guard case .bytes(let count) = result else {
                if result == .endOfStream { try endOfQuestion(side, id) }
                return
            }
            for index in 0..<count {
                if side.head.count < DaySoak.headLength {
                    side.head.append(buffer[index])
                    if side.head.count == DaySoak.headLength { take(&side, id) }
                } else if buffer[index] != octet(side.key, side.read + index, isAnswer: false) {
                    return fail("octet \(side.read + index) of a question is wrong")
                }
            }
            side.read += count
            octets += count
            servers[id] = side
            if side.kind == .serverAborts, side.head.count == DaySoak.headLength {
                servers[id] = nil
                serverStack.abort(id, at: now)
            }
        }
    }

    /// The head of a question is complete.
    private func take(_ side: inout Side, _ id: ConnectionID) {
        func number(_ at: Int) -> UInt32 { side.head[at..<at + 4].reduce(0) { $0 << 8 | UInt32($1) } }
        guard let kind = Kind(rawValue: side.head[0]) else { return fail("the head of a question is wrong") }
        side.kind = kind
        side.key = number(4)
        side.question = Int(number(8))
        side.answer = Int(number(12))
        if kind == .stalls {
            side.isStalled = true
            deeds.add(.reads(id), at: now + .milliseconds(Int64(1_000 + random.next() % 50_000)))
        } else if kind == .hostage {
            side.isStalled = true
        }
    }

    private func endOfQuestion(_ side: Side, _ id: ConnectionID) throws(ConnectionError) {
        if side.kind == .halfClosed || side.kind == .letsGo, side.read == side.question {
            try reply(id)
        } else if side.head.count == DaySoak.headLength, side.read != side.question {
            fail("a question of \(side.question) octets ended after \(side.read)")
        }
        // The client has closed, and so has the server: the rest is the stack's.
        servers[id] = nil
        serverStack.release(id, at: now)
    }

    private func reply(_ id: ConnectionID) throws(ConnectionError) {
        guard var side = servers[id], !side.isClosed else { return }
        while side.sent < side.answer {
            let octets = (side.sent..<side.answer).map { octet(side.key, $0, isAnswer: true) }
            let taken = try serverStack.write(id, octets.span.bytes, at: now)
            side.sent += taken
            if taken == 0 { break }
        }
        if side.sent == side.answer {
            side.isClosed = true
            if side.kind == .unread {
                servers[id] = nil
                serverStack.release(id, at: now)
                return
            }
            try serverStack.close(id, at: now)
        }
        servers[id] = side
    }
}
