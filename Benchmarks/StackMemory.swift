import TCPEngine
import TCPStack
import TCPWire

/// One stack among peers that are nothing but segments made by hand, so that its memory alone is weighed.
final class Crowd {
    var stack: Stack
    private let family: Family
    private let listener: ListenerID
    private let packet = UnsafeMutableRawBufferPointer.allocate(byteCount: 2048, alignment: 64)

    init(family: Family, size: Int) throws {
        self.family = family
        var configuration = Configuration()
        configuration.memoryBudget = 1 << 30
        // All are to be weighed, and each has one source's share at the most.
        configuration.halfOpenConnections = size
        configuration.halfOpenPerListener = size
        configuration.halfOpenShare = 100
        stack = Stack(configuration: configuration, secret: StackSecret(0x0123_4567_89AB_CDEF, 7))
        stack.addAddress(AddressPrefix(family.address(1), length: family.prefixLength))
        listener = try stack.listen(on: StackPair.port, backlog: size, at: .zero)
    }

    deinit { packet.deallocate() }

    /// Peer `number`'s end of its connection.
    private func endpoint(_ number: Int) -> Endpoint {
        Endpoint(family.address(0x1_0000 + number / 50_000), UInt16(1024 + number % 50_000))
    }

    /// Delivers a segment from peer `number`, and gives what the stack answers.
    private func deliver(_ segment: TCPHeader, from number: Int) throws -> TCPHeader? {
        let source = endpoint(number).address
        let header = IPHeader(source: source, destination: family.address(1), protocolNumber: IPProtocol.tcp)
        var span = MutableRawSpan(_unsafeBytes: packet)
        let offset = header.write(to: &span, payloadLength: segment.headerLength)
        let end = offset + segment.write(to: &span, at: offset)
        TCPHeader.writeChecksum(
            in: &span, range: offset..<end, source: source, destination: family.address(1), partial: false)
        stack.receive(span.bytes.extracting(0..<end), at: .zero)
        return try answer()
    }

    private func answer() throws -> TCPHeader? {
        var span = MutableRawSpan(_unsafeBytes: packet)
        guard let sent = stack.transmit(into: &span, at: .zero) else { return nil }
        return try TCPHeader(parsing: span.bytes.extracting(sent.transportOffset..<sent.length))
    }

    private func segment(_ number: Int, _ flags: TCPFlags, after answer: TCPHeader?, options: TCPOptions) -> TCPHeader {
        var options = options
        options.timestamps = TCPTimestamps(value: 1, echo: answer?.options.timestamps?.value ?? 0)
        // The peer's SYN has sequence number 99; SYN and FIN of the stack each take one.
        let length = answer.map { $0.flags.contains(.syn) || $0.flags.contains(.fin) ? 1 : 0 } ?? 0
        return TCPHeader(
            sourcePort: endpoint(number).port, destinationPort: StackPair.port,
            sequence: SequenceNumber(flags.contains(.syn) ? 99 : 100),
            acknowledgment: answer.map { $0.sequence + length } ?? SequenceNumber(0), flags: flags, window: 65_000,
            options: options)
    }

    /// Peer `number` sends a SYN as kernels do, and gives the SYN-ACK.
    func halfOpen(_ number: Int) throws -> TCPHeader {
        var options = TCPOptions()
        options.maximumSegmentSize = 1460
        options.windowScale = 7
        options.sackPermitted = true
        let answer = try deliver(segment(number, .syn, after: nil, options: options), from: number)
        guard let answer, answer.flags == [.syn, .ack] else { throw BenchmarkError("SYN \(number) drew no SYN-ACK") }
        return answer
    }

    /// Peer `number` opens a connection, and the program accepts it.
    func open(_ number: Int) throws -> ConnectionID {
        let answer = try halfOpen(number)
        _ = try deliver(segment(number, .ack, after: answer, options: TCPOptions()), from: number)
        guard let connection = stack.accept(listener) else { throw BenchmarkError("peer \(number) was not accepted") }
        while stack.nextEvent() != nil {}
        return connection
    }

    /// The program closes `connection`, peer `number` answers with its own FIN: this end is in TIME-WAIT.
    func close(_ connection: ConnectionID, _ number: Int) throws {
        try stack.close(connection, at: .zero)
        guard let fin = try answer(), fin.flags.contains(.fin) else { throw BenchmarkError("no FIN to \(number)") }
        let last = try deliver(segment(number, [.fin, .ack], after: fin, options: TCPOptions()), from: number)
        guard last?.flags == .ack else { throw BenchmarkError("the FIN of peer \(number) drew no ACK") }
        stack.release(connection, at: .zero)
        while stack.nextEvent() != nil {}
    }
}

/// What `fill` of a crowd costs for each of `count`, by the stack's own account and by the process's size.
private func weigh(
    _ context: BenchmarkContext, _ variant: String, family: Family, count: Int, fill: (Crowd, Int) throws -> Void
) throws {
    let crowd = try Crowd(family: family, size: count)
    let empty = crowd.stack.memory.total
    // What the allocator holds back of earlier measurements must not serve this one.
    trimAllocator(0)
    let resident = residentBytes()
    for number in 0..<count { try fill(crowd, number) }
    let grown = residentBytes() - resident
    let memory = crowd.stack.memory
    let held = memory.connectionCount + memory.halfOpenCount + memory.timeWaitCount
    guard held == count else { throw BenchmarkError("\(count) were asked for, the stack holds \(held)") }
    let name = "\(family.rawValue), \(readable(Double(count))) \(variant)"
    context.report.add(name, "each, by Stack.memory", Double(memory.total - empty) / Double(count), "bytes")
    context.report.add(name, "each, by resident size", Double(grown) / Double(count), "bytes")
}

func memory(_ context: BenchmarkContext) throws {
    for family in Family.allCases {
        try weigh(context, "established", family: family, count: 100_000) { crowd, number in
            _ = try crowd.open(number)
        }
        try weigh(context, "half-open", family: family, count: 100_000) { crowd, number in
            _ = try crowd.halfOpen(number)
        }
        try weigh(context, "in TIME-WAIT", family: family, count: 100_000) { crowd, number in
            try crowd.close(crowd.open(number), number)
        }
    }
}
