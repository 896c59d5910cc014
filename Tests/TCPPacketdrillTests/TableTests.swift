import Foundation
import TCPSockets
import TCPWire
import Testing

/// The library as it was built beside these tests.
func openTable(_ flags: String) throws -> SystemCallTable {
    try SystemCallTable(library: libraryPath(), flags: flags)
}

func libraryPath() throws -> String {
    let executable = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    var folder = URL(filePath: executable).deletingLastPathComponent()
    for argument in CommandLine.arguments where argument.hasSuffix(".xctest") {
        folder = URL(filePath: argument).deletingLastPathComponent()
    }
    let library = folder.appending(path: "libTCPPacketdrill.so").path
    try #require(FileManager.default.fileExists(atPath: library), "build the product 'TCPPacketdrill' first")
    return library
}

/// The far end of a conversation, by hand, over a table.
struct Peer {
    let table: SystemCallTable
    var here: Endpoint
    var there: Endpoint
    var sequence = SequenceNumber(0)
    var acknowledgment = SequenceNumber(0)

    mutating func send(_ flags: TCPFlags, _ payload: [UInt8] = [], options: TCPOptions = TCPOptions()) {
        let header = TCPHeader(
            sourcePort: here.port, destinationPort: there.port, sequence: sequence,
            acknowledgment: flags.contains(.ack) ? acknowledgment : SequenceNumber(0), flags: flags, window: 65535,
            options: options)
        let ip = IPHeader(source: here.address, destination: there.address, protocolNumber: IPProtocol.tcp)
        var packet = [UInt8](repeating: 0, count: 60 + 60 + payload.count)
        let length = Peer.write(ip, header, payload, to: &packet)
        #expect(table.inject(Array(packet[0..<length])).value == 0)
        sequence += payload.count + (flags.contains(.syn) || flags.contains(.fin) ? 1 : 0)
    }

    private static func write(
        _ ip: IPHeader, _ header: TCPHeader, _ payload: [UInt8], to packet: inout [UInt8]
    ) -> Int {
        var span = packet.mutableSpan
        var octets = span.mutableBytes
        let start = ip.write(to: &octets, payloadLength: header.headerLength + payload.count)
        let data = start + header.write(to: &octets, at: start)
        octets.put(payload.span.bytes, at: data)
        TCPHeader.writeChecksum(
            in: &octets, range: start..<data + payload.count, source: ip.source, destination: ip.destination,
            partial: false)
        return data + payload.count
    }

    /// The next segment that leaves, its octets from the TCP header on, and when.
    mutating func expect(
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> (header: TCPHeader, octets: [UInt8], payload: [UInt8], time: Instant) {
        let packet = try #require(table.nextPacket(), sourceLocation: sourceLocation)
        try #require(packet.octets.count > 20, "no packet", sourceLocation: sourceLocation)
        let ip = try IPHeader(parsing: packet.octets.span.bytes)
        let octets = Array(packet.octets[ip.headerLength...])
        let header = try TCPHeader(parsing: octets.span.bytes)
        #expect(ip.destination == here.address, sourceLocation: sourceLocation)
        let payload = Array(octets[header.headerLength...])
        let taken = payload.count + (header.flags.contains(.syn) || header.flags.contains(.fin) ? 1 : 0)
        acknowledgment = header.sequence + taken
        return (header, octets, payload, packet.time)
    }
}

/// A thread that makes one call, as packetdrill's second thread does, and then looks at the clock.
final class Caller: @unchecked Sendable {
    private let table: SystemCallTable
    private let call: SystemCall
    private let done = DispatchSemaphore(value: 0)
    private let started = DispatchSemaphore(value: 0)
    private var thread = ""
    private var outcome: (CallResult, Instant)?

    init(_ table: SystemCallTable, _ call: SystemCall) throws {
        self.table = table
        self.call = call
        Thread.detachNewThread { [self] in
            thread = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/thread-self")) ?? ""
            started.signal()
            let result = self.table.perform(self.call)
            outcome = (result, self.table.timeOfDay())
            done.signal()
        }
        started.wait()
        // As the tool does: the main thread goes on when the other sleeps in the kernel.
        for _ in 0..<10_000 where try !isAsleep() { usleep(500) }
        try #require(try isAsleep(), "the call does not sleep")
    }

    private func isAsleep() throws -> Bool {
        let text = try String(contentsOfFile: "/proc/\(thread)/stat", encoding: .utf8)
        return text.drop { $0 != ")" }.dropFirst(2).first == "S"
    }

    /// What the call came to, and the time its thread saw next.
    func finish() throws -> (CallResult, Instant) {
        try #require(done.wait(timeout: .now() + 60) == .success, "the call does not return")
        return try #require(outcome)
    }
}

// One after the other: what one closes, another may be given, and the library's own getsockopt would find both.
@Suite("The table of a packetdrill binary", .serialized)
struct TableTests {
    static let local = IPAddress(192, 168, 0, 1)
    static let remote = IPAddress(192, 0, 2, 1)

    private func listener(_ table: SystemCallTable, _ address: IPAddress = local) throws -> Int32 {
        let family = address.isIPv4 ? Linux.AF_INET : Linux.AF_INET6
        let socket = Int32(
            table.perform(.socket(domain: family, type: Linux.SOCK_STREAM, protocol: Linux.IPPROTO_TCP)).value)
        try #require(socket > 2)
        #expect(table.perform(.bind(socket, SocketAddress(address, port: 8080))).value == 0)
        #expect(table.perform(.listen(socket, backlog: 1)).value == 0)
        return socket
    }

    /// The handshake from the peer's side; the options of the SYN-ACK come back.
    private func open(_ peer: inout Peer, timestamps: Bool = true) throws -> [UInt8] {
        var options = TCPOptions()
        options.maximumSegmentSize = 1460
        options.sackPermitted = true
        options.windowScale = 7
        if timestamps { options.timestamps = TCPTimestamps(value: 1, echo: 0) }
        peer.send(.syn, options: options)
        let (header, octets, _, _) = try peer.expect()
        #expect(header.flags == [.syn, .ack])
        peer.send(.ack)
        return Array(octets[20..<header.headerLength])
    }

    @Test("Calls that do not block: a conversation from the first SYN to TIME-WAIT")
    func conversation() throws {
        let table = try openTable("rcvbuf=65535")
        defer { table.free() }
        let socket = try listener(table)
        var peer = Peer(table: table, here: Endpoint(Self.remote, 4000), there: Endpoint(Self.local, 8080))
        let options = try open(&peer)
        // mss, sackOK, TS, nop, wscale.
        #expect(Array(options[0..<8]) == [2, 4, 5, 0xB4, 4, 2, 8, 10])
        #expect(Array(options[16..<20]) == [1, 3, 3, 0])
        let accepted = table.perform(.accept(socket))
        #expect(accepted.address == SocketAddress(Self.remote, port: 4000))
        let server = Int32(accepted.value)
        #expect(
            table.perform(.fcntl(server, command: Linux.F_SETFL, argument: Linux.O_RDWR | Linux.O_NONBLOCK)).value == 0)
        #expect(table.perform(.fcntl(server, command: Linux.F_GETFL)).value == Int(Linux.O_RDWR | Linux.O_NONBLOCK))
        #expect(table.perform(.read(server, count: 10)).errno == .EAGAIN)
        peer.send([.ack, .psh], Array("request".utf8))
        #expect(table.perform(.ioctl(server, request: Linux.SIOCINQ)).integer == 7)
        #expect(
            table.perform(.poll([PollDescriptor(server, events: Linux.POLLIN)], timeout: 0)).polled.first?.returned
                == Linux.POLLIN)
        #expect(table.perform(.recv(server, count: 3, flags: Linux.MSG_PEEK)).octets == Array("req".utf8))
        #expect(table.perform(.readv(server, counts: [2, 9])).octets == Array("request".utf8))
        #expect(table.perform(.writev(server, [Array("re".utf8), Array("ply".utf8)])).value == 5)
        let reply = try peer.expect()
        #expect(reply.payload == Array("reply".utf8))
        peer.send(.ack)
        #expect(table.perform(.shutdown(server, how: Linux.SHUT_WR)).value == 0)
        #expect(try peer.expect().header.flags == [.fin, .ack])
        peer.send([.fin, .ack])
        #expect(try peer.expect().header.flags == .ack)
        #expect(table.perform(.read(server, count: 1)).value == 0)
        #expect(table.perform(.close(server)).value == 0)
        #expect(table.perform(.close(server)).errno == .EBADF)
        #expect(table.perform(.close(socket)).value == 0)
    }

    @Test("Without timestamps a SYN's options are mss, nop, nop, sackOK, nop, wscale")
    func optionOrder() throws {
        let table = try openTable("ts=0,wscale=8,mtu=1400")
        defer { table.free() }
        _ = try listener(table)
        var peer = Peer(table: table, here: Endpoint(Self.remote, 4000), there: Endpoint(Self.local, 8080))
        #expect(try open(&peer) == [2, 4, 5, 0x50, 1, 1, 4, 2, 1, 3, 3, 8])
    }

    @Test("An active open over IPv6 from the address the flags name")
    func activeOpen() throws {
        let local = try #require(IPAddress("fd00::1"))
        let remote = try #require(IPAddress("fd00::2"))
        let table = try openTable("local=fd00::1")
        defer { table.free() }
        let socket = Int32(table.perform(.socket(domain: Linux.AF_INET6, type: Linux.SOCK_STREAM, protocol: 0)).value)
        #expect(table.perform(.ioctl(socket, request: Linux.FIONBIO, argument: 1)).value == 0)
        #expect(table.perform(.connect(socket, SocketAddress(remote, port: 80))).errno == .EINPROGRESS)
        let packet = try #require(table.nextPacket())
        let ip = try IPHeader(parsing: packet.octets.span.bytes)
        #expect(ip.source == local)
        let syn = try TCPHeader(parsing: Array(packet.octets[40...]).span.bytes)
        var peer = Peer(table: table, here: Endpoint(remote, 80), there: Endpoint(local, syn.sourcePort))
        peer.acknowledgment = syn.sequence + 1
        peer.send([.syn, .ack])
        #expect(try peer.expect().header.flags == .ack)
        let error = table.perform(.getsockopt(socket, level: Linux.SOL_SOCKET, name: Linux.SO_ERROR, length: 4))
        #expect(error.optionValue == 0)
    }

    @Test("A call that blocks sleeps in its thread, and that thread's clock says when it was woken")
    func blocking() throws {
        let table = try openTable("")
        defer { table.free() }
        let socket = try listener(table)
        var peer = Peer(table: table, here: Endpoint(Self.remote, 4000), there: Endpoint(Self.local, 8080))
        let accepting = try Caller(table, .accept(socket))
        _ = try open(&peer)
        let (accepted, _) = try accepting.finish()
        let server = Int32(accepted.value)
        #expect(server > 2)

        let reading = try Caller(table, .recvmsg(server, counts: [2, 100], controlRoom: 0, flags: 0))
        table.sleep(microseconds: 30_000)
        let before = table.timeOfDay()
        peer.send([.ack, .psh], Array("hello".utf8))
        let (read, seen) = try reading.finish()
        #expect(read.octets == Array("hello".utf8))
        // Not a microsecond later, whatever the main thread did meanwhile.
        #expect(seen == before)
        #expect(table.timeOfDay() > before)
    }

    @Test("A call with a time-out is woken by the clock, in the midst of a long sleep of the main thread")
    func timeout() throws {
        let table = try openTable("")
        defer { table.free() }
        let socket = try listener(table)
        let start = table.timeOfDay()
        let polling = try Caller(table, .poll([PollDescriptor(socket, events: Linux.POLLIN)], timeout: 250))
        table.sleep(microseconds: 2_000_000)
        let (polled, seen) = try polling.finish()
        #expect(polled.value == 0)
        #expect(seen - start == .milliseconds(250))
        #expect(table.timeOfDay() - start >= .seconds(2))
    }

    @Test("A call that blocks in the main thread lets time pass, and is interrupted when nothing comes of it")
    func blockingMain() throws {
        let table = try openTable("limit=7")
        defer { table.free() }
        let socket = try listener(table)
        #expect(table.perform(.accept(socket)).errno == .EINTR)
        let start = table.timeOfDay()
        let client = Int32(table.perform(.socket(domain: Linux.AF_INET, type: Linux.SOCK_STREAM, protocol: 0)).value)
        #expect(table.perform(.connect(client, SocketAddress(Self.local, port: 81))).errno == .ECONNREFUSED)
        #expect(table.timeOfDay() - start < .milliseconds(1))
    }

    @Test("When no packet leaves within the limit, netdev_receive gives one octet, and that much time has passed")
    func nothingToSend() throws {
        let table = try openTable("limit=150")
        defer { table.free() }
        _ = try listener(table)
        let start = table.timeOfDay()
        let packet = try #require(table.nextPacket())
        #expect(packet.octets.count == 1)
        #expect(packet.time - start == .seconds(150))
    }

    @Test("netdev_receive goes from deadline to deadline: a SYN is sent again after one second, then two")
    func retransmissions() throws {
        let table = try openTable("")
        defer { table.free() }
        let socket = Int32(table.perform(.socket(domain: Linux.AF_INET, type: Linux.SOCK_STREAM, protocol: 0)).value)
        #expect(table.perform(.ioctl(socket, request: Linux.FIONBIO, argument: 1)).value == 0)
        #expect(table.perform(.connect(socket, SocketAddress(Self.remote, port: 80))).errno == .EINPROGRESS)
        var peer = Peer(table: table, here: Endpoint(Self.remote, 80), there: Endpoint(Self.local, 0))
        let times = try (0..<3).map { _ in try peer.expect().time }
        let gaps = zip(times.dropFirst(), times).map { Double(($0 - $1).nanoseconds) / 1e9 }
        #expect(abs(gaps[0] - 1) < 0.001)
        #expect(abs(gaps[1] - 2) < 0.001)
    }

    @Test("TCP_INFO answers the whole length asked for, by the table and by the library's own getsockopt")
    func information() throws {
        let table = try openTable("iw=4")
        defer { table.free() }
        let socket = try listener(table)
        var peer = Peer(table: table, here: Endpoint(Self.remote, 4000), there: Endpoint(Self.local, 8080))
        _ = try open(&peer)
        let server = Int32(table.perform(.accept(socket)).value)
        let long = table.perform(.getsockopt(server, level: Linux.SOL_TCP, name: Linux.TCP_INFO, length: 300)).option
        #expect(long.count == 300)
        #expect(long[0] == UInt8(Linux.TCP_ESTABLISHED))
        #expect(Array(long[80..<84]) == [4, 0, 0, 0])
        #expect(long[248...].allSatisfy { $0 == 0 })

        typealias Getsockopt =
            @convention(c) (Int32, Int32, Int32, UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt32>?) -> Int32
        let handle = try #require(dlopen(try libraryPath(), RTLD_NOW))
        let exported = unsafeBitCast(try #require(dlsym(handle, "getsockopt")), to: Getsockopt.self)
        var state: UInt8 = 0
        var length: UInt32 = 1
        #expect(exported(server, Linux.SOL_TCP, Linux.TCP_INFO, &state, &length) == 0)
        #expect(state == UInt8(Linux.TCP_ESTABLISHED))
        // A socket of the system's is the system's affair.
        let other = Foundation.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        try #require(other >= 0)
        defer { close(other) }
        var type: Int32 = 0
        length = 4
        #expect(exported(other, Linux.SOL_SOCKET, Linux.SO_TYPE, &type, &length) == 0)
        #expect(type == Int32(SOCK_DGRAM.rawValue))
        #expect(exported(-1, Linux.SOL_SOCKET, Linux.SO_TYPE, &type, &length) == -1)
    }

    @Test("Descriptors are real ones, which the system can close")
    func realDescriptors() throws {
        let table = try openTable("")
        defer { table.free() }
        let socket = try listener(table)
        #expect(fcntl(socket, F_GETFD) >= 0)
        #expect(close(socket) == 0)
        // The number comes again, unless another test of this process was faster, and then names something new.
        var made: [Int32] = []
        while made.last != socket, made.count < 64 {
            let result = table.perform(.socket(domain: Linux.AF_INET, type: Linux.SOCK_STREAM, protocol: 0))
            made.append(Int32(result.value))
        }
        let accepting = table.perform(
            .getsockopt(made.last ?? -1, level: Linux.SOL_SOCKET, name: Linux.SO_ACCEPTCONN, length: 4))
        #expect(accepting.optionValue == 0)
        for descriptor in made { #expect(table.perform(.close(descriptor)).value == 0) }
    }

    @Test("epoll, pipe, splice and socket options pass the table whole")
    func others() throws {
        let table = try openTable("")
        defer { table.free() }
        let socket = try listener(table)
        var peer = Peer(table: table, here: Endpoint(Self.remote, 4000), there: Endpoint(Self.local, 8080))
        let epoll = Int32(table.perform(.epollCreate()).value)
        let event = EpollEvent(events: Linux.EPOLLIN, data: 0x0123_4567_89AB_CDEF)
        #expect(
            table.perform(
                .epollControl(epoll, operation: Linux.EPOLL_CTL_ADD, descriptor: socket, event: event)
            ).value == 0)
        #expect(table.perform(.epollWait(epoll, maximum: 3, timeout: 0)).value == 0)
        _ = try open(&peer)
        #expect(table.perform(.epollWait(epoll, maximum: 3, timeout: 0)).events == [event])
        let server = Int32(table.perform(.accept(socket)).value)
        let one: [UInt8] = [1, 0, 0, 0]
        #expect(
            table.perform(.setsockopt(server, level: Linux.SOL_TCP, name: Linux.TCP_NODELAY, value: one)).value == 0)
        let read = table.perform(.getsockopt(server, level: Linux.SOL_TCP, name: Linux.TCP_NODELAY, length: 4))
        #expect(read.option == one)
        let ends = table.perform(.pipe()).descriptors
        peer.send([.ack, .psh], Array("through".utf8))
        #expect(table.perform(.splice(from: server, to: ends[1], count: 100, flags: 0)).value == 7)
        #expect(table.perform(.read(ends[0], count: 100)).octets == Array("through".utf8))
        #expect(
            table.perform(.splice(from: server, fromOffset: 0, to: ends[1], count: 1, flags: 0)).errno == .ESPIPE)
    }
}
