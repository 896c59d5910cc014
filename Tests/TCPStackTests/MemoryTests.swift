import TCPEngine
import TCPStack
import TCPWire
import Testing

/// One stack among peers that are nothing but segments made by hand, so that its memory alone is weighed.
struct Crowd: ~Copyable {
    static let port: UInt16 = 80

    var stack: Stack
    private var buffer = [UInt8](repeating: 0, count: 2048)
    private let isIPv6: Bool
    private let listener: ListenerID

    init(isIPv6: Bool, size: Int) throws {
        self.isIPv6 = isIPv6
        var configuration = Configuration()
        configuration.memoryBudget = 1 << 30
        configuration.halfOpenConnections = size
        configuration.halfOpenPerListener = size
        configuration.halfOpenShare = 100
        stack = Stack(configuration: configuration, secret: StackSecret(0x0123_4567_89AB_CDEF, 7))
        stack.addAddress(AddressPrefix(Crowd.address(1, isIPv6: isIPv6), length: isIPv6 ? 64 : 8))
        listener = try stack.listen(on: Crowd.port, backlog: size, at: .zero)
    }

    private static func address(_ host: Int, isIPv6: Bool) -> IPAddress {
        isIPv6 ? IPAddress(high: 0xFD00 << 48, low: UInt64(host)) : IPAddress(ipv4: 0x0A00_0000 | UInt32(host))
    }

    private func peer(_ number: Int) -> Endpoint {
        Endpoint(Crowd.address(0x1_0000 + number / 50_000, isIPv6: isIPv6), UInt16(1024 + number % 50_000))
    }

    /// Peer `number` sends a segment in answer to `answered`; what the stack says to it comes back.
    private mutating func deliver(
        _ number: Int, _ flags: TCPFlags, answering answered: TCPHeader? = nil, options: TCPOptions = TCPOptions(),
        payload: Int = 0
    ) throws -> TCPHeader? {
        let peer = peer(number)
        let us = Crowd.address(1, isIPv6: isIPv6)
        var options = options
        options.timestamps = TCPTimestamps(value: 1, echo: answered?.options.timestamps?.value ?? 0)
        // SYN and FIN of the stack each take one sequence number.
        let taken = answered.map { $0.flags.contains(.syn) || $0.flags.contains(.fin) ? 1 : 0 } ?? 0
        let segment = TCPHeader(
            sourcePort: peer.port, destinationPort: Crowd.port,
            sequence: SequenceNumber(flags.contains(.syn) ? 99 : 100),
            acknowledgment: answered.map { $0.sequence + taken } ?? SequenceNumber(0), flags: flags, window: 65_000,
            options: options)
        let header = IPHeader(source: peer.address, destination: us, protocolNumber: IPProtocol.tcp)
        let end = Crowd.write(segment, behind: header, payload: payload, to: &buffer)
        Crowd.deliver(buffer, count: end, to: &stack)
        return try answer()
    }

    private static func write(
        _ segment: TCPHeader, behind header: IPHeader, payload: Int, to buffer: inout [UInt8]
    ) -> Int {
        var octets = buffer.mutableSpan
        var span = octets.mutableBytes
        let offset = header.write(to: &span, payloadLength: segment.headerLength + payload)
        let end = offset + segment.write(to: &span, at: offset) + payload
        TCPHeader.writeChecksum(
            in: &span, range: offset..<end, source: header.source, destination: header.destination, partial: false)
        return end
    }

    private static func deliver(_ buffer: [UInt8], count: Int, to stack: inout Stack) {
        let octets = buffer.span
        stack.receive(octets.bytes.extracting(0..<count), at: .zero)
    }

    private static func packet(of stack: inout Stack, into buffer: inout [UInt8]) -> TransmittedPacket? {
        var octets = buffer.mutableSpan
        var span = octets.mutableBytes
        return stack.transmit(into: &span, at: .zero)
    }

    private mutating func answer() throws -> TCPHeader? {
        guard let sent = Crowd.packet(of: &stack, into: &buffer) else { return nil }
        let packet = buffer
        let octets = packet.span
        return try TCPHeader(parsing: octets.bytes.extracting(sent.transportOffset..<sent.length))
    }

    /// Peer `number` sends a SYN as kernels do.
    @discardableResult
    mutating func halfOpen(_ number: Int) throws -> TCPHeader {
        var options = TCPOptions()
        options.maximumSegmentSize = 1460
        options.windowScale = 7
        options.sackPermitted = true
        let answer = try #require(try deliver(number, .syn, options: options), "SYN \(number) drew no SYN-ACK")
        try #require(answer.flags == [.syn, .ack])
        return answer
    }

    /// Peer `number` opens a connection, and the program accepts it.
    @discardableResult
    mutating func open(_ number: Int) throws -> (id: ConnectionID, synAck: TCPHeader) {
        let synAck = try halfOpen(number)
        _ = try deliver(number, .ack, answering: synAck)
        let id = stack.accept(listener)
        while stack.nextEvent() != nil {}
        return (try #require(id, "peer \(number) was not accepted"), synAck)
    }

    /// Peer `number` resets its connection.
    mutating func reset(_ number: Int, _ synAck: TCPHeader) throws {
        _ = try deliver(number, [.rst, .ack], answering: synAck)
        while stack.nextEvent() != nil {}
    }

    /// Peer `number` sends `count` octets.
    mutating func send(_ number: Int, _ synAck: TCPHeader, count: Int) throws {
        _ = try deliver(number, [.psh, .ack], answering: synAck, payload: count)
        while stack.nextEvent() != nil {}
    }

    /// Reads what there is, up to 2,048 octets, and says how many there were.
    mutating func read(_ id: ConnectionID) throws -> Int {
        guard case .bytes(let count) = try Crowd.read(id, of: &stack, into: &buffer) else { return 0 }
        return count
    }

    private static func read(
        _ id: ConnectionID, of stack: inout Stack, into buffer: inout [UInt8]
    ) throws -> ReadResult {
        var octets = buffer.mutableSpan
        var span = octets.mutableBytes
        return try stack.read(id, into: &span, at: .zero)
    }

    /// The program closes, and peer `number` answers with its own FIN: this end is in TIME-WAIT.
    mutating func closeIntoTimeWait(_ number: Int, _ id: ConnectionID) throws {
        try stack.close(id, at: .zero)
        let fin = try #require(try answer(), "no FIN to peer \(number)")
        try #require(fin.flags.contains(.fin))
        let last = try deliver(number, [.fin, .ack], answering: fin)
        try #require(last?.flags == .ack, "the FIN of peer \(number) drew no ACK")
        stack.release(id, at: .zero)
        while stack.nextEvent() != nil {}
    }

    /// Whether anything at all waits to be sent.
    mutating func isSilent() throws -> Bool { try answer() == nil }
}

@Suite("What connections cost in memory")
struct MemoryTests {
    #if DEBUG
        static let counts = [1, 64, 65, 1_000, 1_025]
        static let many = 1_000
    #else
        static let counts = [1, 64, 65, 1_000, 1_025, 10_000, 16_385, 65_537, 100_000]
        static let many = 20_000
    #endif

    /// Storage comes in chunks of 64 places, and the promise is about a place.
    static func chunked(_ count: Int) -> Int { (count + 63) / 64 * 64 }

    @Test(
        "An established idle connection costs at most 512 bytes, all tables included", arguments: [false, true], counts)
    func established(isIPv6: Bool, count: Int) throws {
        var crowd = try Crowd(isIPv6: isIPv6, size: count)
        let empty = crowd.stack.memory.total
        for number in 0..<count { try crowd.open(number) }
        let memory = crowd.stack.memory
        #expect(memory.connectionCount == count)
        #expect(memory.halfOpenCount == 0 && memory.timeWaitCount == 0)
        #expect(memory.buffers == 0, "an idle connection holds no buffer")
        #expect(memory.recovery == 0, "an idle connection holds no recovery state")
        #expect(
            memory.total - empty <= 512 * Self.chunked(count), "\((memory.total - empty) / count) bytes each: \(memory)"
        )
    }

    @Test("A half-open connection costs at most 64 bytes, all tables included", arguments: [false, true], counts)
    func halfOpen(isIPv6: Bool, count: Int) throws {
        var crowd = try Crowd(isIPv6: isIPv6, size: count)
        let empty = crowd.stack.memory.total
        for number in 0..<count { try crowd.halfOpen(number) }
        let memory = crowd.stack.memory
        #expect(memory.halfOpenCount == count)
        #expect(memory.connectionCount == 0 && memory.buffers == 0)
        #expect(
            memory.total - empty <= 64 * Self.chunked(count), "\((memory.total - empty) / count) bytes each: \(memory)")
    }

    @Test("A connection in TIME-WAIT costs at most 64 bytes, all tables included", arguments: [false, true], counts)
    func timeWait(isIPv6: Bool, count: Int) throws {
        var crowd = try Crowd(isIPv6: isIPv6, size: count)
        let empty = crowd.stack.memory.total
        for number in 0..<count { try crowd.closeIntoTimeWait(number, crowd.open(number).id) }
        let memory = crowd.stack.memory
        #expect(memory.timeWaitCount == count)
        #expect(memory.connectionCount == 0 && memory.halfOpenCount == 0 && memory.buffers == 0)
        #expect(
            memory.total - empty <= 64 * Self.chunked(count), "\((memory.total - empty) / count) bytes each: \(memory)")
    }

    @Test("When 2 MSL have passed, the stack holds what an empty one holds", arguments: [false, true])
    func afterTimeWait(isIPv6: Bool) throws {
        var crowd = try Crowd(isIPv6: isIPv6, size: Self.many)
        let empty = crowd.stack.memory
        for number in 0..<Self.many { try crowd.closeIntoTimeWait(number, crowd.open(number).id) }
        #expect(crowd.stack.memory.timeWaitCount == Self.many)
        crowd.stack.advance(to: .zero + .seconds(59))
        #expect(crowd.stack.memory.timeWaitCount == Self.many, "2 MSL have not passed yet")
        crowd.stack.advance(to: .zero + .seconds(61))
        #expect(crowd.stack.memory.total == empty.total, "\(crowd.stack.memory)")
        #expect(crowd.stack.memory == empty)
    }

    @Test("When all connections were reset, the stack holds what an empty one holds", arguments: [false, true])
    func afterResets(isIPv6: Bool) throws {
        var crowd = try Crowd(isIPv6: isIPv6, size: Self.many)
        let empty = crowd.stack.memory
        var ids: [ConnectionID] = []
        for number in 0..<Self.many {
            let (id, synAck) = try crowd.open(number)
            try crowd.reset(number, synAck)
            ids.append(id)
        }
        for id in ids { crowd.stack.release(id, at: .zero) }
        #expect(crowd.stack.memory == empty)
    }

    @Test("When all connections were aborted, the stack holds what an empty one holds", arguments: [false, true])
    func afterAborts(isIPv6: Bool) throws {
        var crowd = try Crowd(isIPv6: isIPv6, size: Self.many)
        let empty = crowd.stack.memory
        var ids: [ConnectionID] = []
        for number in 0..<Self.many { ids.append(try crowd.open(number).id) }
        for id in ids {
            crowd.stack.abort(id, at: .zero)
            _ = try crowd.isSilent()
        }
        #expect(try crowd.isSilent())
        while crowd.stack.nextEvent() != nil {}
        #expect(crowd.stack.memory == empty)
    }

    @Test("Half-open connections nobody completes are given up, and leave nothing [4987-1]", arguments: [false, true])
    func afterGivingUp(isIPv6: Bool) throws {
        var crowd = try Crowd(isIPv6: isIPv6, size: Self.many)
        let empty = crowd.stack.memory
        for number in 0..<Self.many { try crowd.halfOpen(number) }
        // The SYN-ACK is sent again after 1, 2, 4, ... seconds; ten steps are beyond any number of retries.
        var steps = 0
        while let deadline = crowd.stack.nextDeadline, steps < 20 * Self.many {
            crowd.stack.advance(to: deadline)
            while try !crowd.isSilent() {}
            steps += 1
        }
        while crowd.stack.nextEvent() != nil {}
        #expect(crowd.stack.nextDeadline == nil)
        #expect(crowd.stack.memory == empty)
    }

    @Test("Buffers come with the first octet and go with the last", arguments: [false, true])
    func buffers(isIPv6: Bool) throws {
        var crowd = try Crowd(isIPv6: isIPv6, size: 100)
        var peers: [(ConnectionID, TCPHeader)] = []
        for number in 0..<100 { peers.append(try crowd.open(number)) }
        let idle = crowd.stack.memory
        for (number, peer) in peers.enumerated() { try crowd.send(number, peer.1, count: 1000) }
        #expect(crowd.stack.memory.buffers >= 100 * 1000)
        for peer in peers { #expect(try crowd.read(peer.0) == 1000) }
        let after = crowd.stack.memory
        #expect(after.buffers == 0)
        #expect(after.recovery == 0)
        #expect(after.total - after.idleBuffers <= idle.total - idle.idleBuffers)
    }
}
