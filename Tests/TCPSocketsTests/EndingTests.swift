import TCPSockets
import TCPWire
import Testing

@Suite("close, shutdown, and how errors are told")
struct EndingTests {
    @Test("close ends both directions; the peer reads the end, writes once more, and is reset")
    func closing() throws {
        let link = try Link()
        #expect(try link.wire.a.now(.close(link.client)).value == 0)
        link.wire.run(.milliseconds(20))
        #expect(try link.wire.b.now(.read(link.server, count: 1)).value == 0)
        #expect(link.wire.b.state(link.server) == "CLOSE-WAIT")
        #expect(try link.wire.b.now(.write(link.server, text("late"))).value == 4)
        link.wire.run(.milliseconds(50))
        // Linux: a peer that was gone already is a broken pipe.
        #expect(try link.wire.b.error(link.server) == .EPIPE)
        #expect(try link.wire.b.now(.write(link.server, text("x"))).errno == .EPIPE)
        #expect(try link.wire.b.now(.read(link.server, count: 1)).value == 0)
    }

    @Test("close with octets unread resets the connection (RFC 9293 SHLD-3), and the peer learns it once")
    func unread() throws {
        let link = try Link()
        #expect(try link.wire.a.now(.write(link.client, text("never read"))).value == 10)
        link.wire.run(.milliseconds(20))
        #expect(try link.wire.b.now(.close(link.server)).value == 0)
        link.wire.run(.milliseconds(20))
        #expect(link.wire.a.state(link.client) == "CLOSED")
        #expect(try link.wire.a.now(.read(link.client, count: 1)).errno == .ECONNRESET)
        #expect(try link.wire.a.now(.read(link.client, count: 1)).value == 0)
        #expect(try link.wire.a.now(.write(link.client, text("x"))).errno == .EPIPE)
        #expect(try link.wire.a.now(.shutdown(link.client, how: Linux.SHUT_WR)).errno == .ENOTCONN)
    }

    @Test("SO_LINGER of zero seconds makes close an abort")
    func abort() throws {
        let link = try Link()
        #expect(try link.wire.a.set(link.client, Linux.SOL_SOCKET, Linux.SO_LINGER, 1, 0) == .none)
        #expect(try link.wire.a.now(.close(link.client)).value == 0)
        link.wire.run(.milliseconds(20))
        #expect(try link.wire.b.error(link.server) == .ECONNRESET)
        #expect(try link.wire.b.error(link.server) == .none)
        #expect(link.wire.a.flows().isEmpty)
    }

    @Test("SO_LINGER lets close wait for the acknowledgment of all, and of the FIN")
    func linger() throws {
        let link = try Link()
        #expect(try link.wire.a.set(link.client, Linux.SOL_SOCKET, Linux.SO_LINGER, 1, 5) == .none)
        #expect(try link.wire.a.now(.write(link.client, text("last words"))).value == 10)
        let start = link.wire.a.now
        let closing = link.wire.a.submit(.close(link.client))
        #expect(link.wire.a.result(of: closing) == nil)
        #expect(try link.wire.a.now(.read(link.client, count: 1)).errno == .EBADF)
        link.wire.run(.milliseconds(100))
        let result = try #require(link.wire.a.result(of: closing))
        #expect(result.value == 0)
        #expect(result.time - start == .milliseconds(20))
    }

    @Test("Lingering ends when its time is over: BSD says so, Linux does not")
    func lingerTimeout() throws {
        for flavour in KernelSettings.Flavour.allCases {
            let link = try Link(settings: { $0.flavour = flavour })
            link.wire.losesFromA = true
            #expect(try link.wire.a.set(link.client, Linux.SOL_SOCKET, Linux.SO_LINGER, 1, 2) == .none)
            #expect(try link.wire.a.now(.write(link.client, text("lost"))).value == 4)
            let start = link.wire.a.now
            let closing = link.wire.a.submit(.close(link.client))
            link.wire.run(.seconds(3))
            let result = try #require(link.wire.a.result(of: closing))
            #expect(result.errno == (flavour == .linux ? Errno.none : .EAGAIN))
            #expect(result.time - start == .seconds(2))
            #expect(link.wire.a.flows().count == 1)
        }
    }

    @Test("shutdown of writing leaves reading open; of both it is told as HUP")
    func shutdown() throws {
        let link = try Link()
        #expect(try link.wire.a.now(.shutdown(link.client, how: 3)).errno == .EINVAL)
        #expect(try link.wire.a.now(.shutdown(link.client, how: Linux.SHUT_WR)).value == 0)
        #expect(try link.wire.a.now(.write(link.client, text("x"))).errno == .EPIPE)
        link.wire.run(.milliseconds(20))
        #expect(try link.wire.b.poll(link.server) == Linux.POLLIN | Linux.POLLOUT | Linux.POLLRDHUP)
        #expect(try link.wire.b.now(.write(link.server, text("still here"))).value == 10)
        link.wire.run(.milliseconds(20))
        #expect(try link.wire.a.now(.read(link.client, count: 20)).octets == text("still here"))
        #expect(try link.wire.b.now(.close(link.server)).value == 0)
        link.wire.run(.milliseconds(20))
        #expect(link.wire.a.state(link.client) == "TIME-WAIT")
        #expect(
            try link.wire.a.poll(link.client)
                == Linux.POLLIN | Linux.POLLOUT | Linux.POLLRDHUP | Linux.POLLHUP)
    }

    @Test("shutdown of reading ends reads once what came is read")
    func shutdownReading() throws {
        let link = try Link()
        #expect(try link.wire.a.now(.write(link.client, text("ab"))).value == 2)
        link.wire.run(.milliseconds(20))
        #expect(try link.wire.b.now(.shutdown(link.server, how: Linux.SHUT_RD)).value == 0)
        #expect(try link.wire.b.now(.read(link.server, count: 9)).octets == text("ab"))
        #expect(try link.wire.b.now(.read(link.server, count: 9)).value == 0)
        #expect(try link.wire.b.now(.write(link.server, text("x"))).value == 1)
    }

    @Test("shutdown gives up a connection that is opening, and a listener that is to read no more")
    func shutdownEarly() throws {
        let wire = Wire()
        wire.losesFromB = true
        let client = try wire.a.socket(nonBlocking: true)
        _ = try wire.a.now(.connect(client, SocketAddress(Wire.far, port: 80)))
        #expect(try wire.a.now(.shutdown(client, how: Linux.SHUT_WR)).value == 0)
        #expect(wire.a.flows().isEmpty)
        #expect(try wire.a.error(client) == .ECONNRESET)
        let listener = try wire.a.socket()
        #expect(try wire.a.now(.listen(listener, backlog: 1)).value == 0)
        #expect(try wire.a.get(listener, Linux.SOL_SOCKET, Linux.SO_ACCEPTCONN) == 1)
        #expect(try wire.a.now(.shutdown(listener, how: Linux.SHUT_WR)).value == 0)
        #expect(try wire.a.get(listener, Linux.SOL_SOCKET, Linux.SO_ACCEPTCONN) == 1)
        #expect(try wire.a.now(.shutdown(listener, how: Linux.SHUT_RD)).value == 0)
        #expect(try wire.a.get(listener, Linux.SOL_SOCKET, Linux.SO_ACCEPTCONN) == 0)
    }

    @Test("Silence ends a connection with ETIMEDOUT, when TCP_USER_TIMEOUT says so")
    func userTimeout() throws {
        let link = try Link()
        #expect(try link.wire.a.set(link.client, Linux.IPPROTO_TCP, Linux.TCP_USER_TIMEOUT, 3000) == .none)
        link.wire.losesFromB = true
        #expect(try link.wire.a.now(.write(link.client, text("hello?"))).value == 6)
        let waiting = link.wire.a.submit(.read(link.client, count: 1))
        let start = link.wire.a.now
        link.wire.run(.seconds(5))
        let result = try #require(link.wire.a.result(of: waiting))
        #expect(result.errno == .ETIMEDOUT)
        #expect((result.time - start).components.seconds == 3)
        #expect(try link.wire.a.now(.read(link.client, count: 1)).value == 0)
    }

    @Test("Keep-alive finds a dead peer after TCP_KEEPIDLE, TCP_KEEPCNT times TCP_KEEPINTVL")
    func keepAlive() throws {
        let link = try Link()
        let kernel = link.wire.a
        for (name, value) in [(Linux.TCP_KEEPIDLE, 10), (Linux.TCP_KEEPINTVL, 2), (Linux.TCP_KEEPCNT, 3)] {
            #expect(try kernel.set(link.client, Linux.IPPROTO_TCP, name, Int32(value)) == .none)
            #expect(try kernel.get(link.client, Linux.IPPROTO_TCP, name) == Int32(value))
        }
        #expect(try kernel.set(link.client, Linux.SOL_SOCKET, Linux.SO_KEEPALIVE, 1) == .none)
        link.wire.run(.seconds(30))
        #expect(link.wire.a.state(link.client) == "ESTABLISHED")
        link.wire.losesFromB = true
        let start = kernel.now
        let waiting = kernel.submit(.poll([PollDescriptor(link.client, events: 0)], timeout: -1))
        link.wire.run(.seconds(30))
        let result = try #require(kernel.result(of: waiting))
        #expect(result.polled[0].returned == Linux.POLLERR | Linux.POLLHUP)
        #expect((result.time - start).components.seconds <= 16)
        #expect(try kernel.error(link.client) == .ETIMEDOUT)
    }

    @Test("A peer that resets a connection before it is accepted is known to the one who accepts it")
    func resetBeforeAccept() throws {
        let wire = Wire()
        let listener = try wire.b.socket()
        #expect(try wire.b.now(.bind(listener, SocketAddress(Wire.far, port: 80))).value == 0)
        #expect(try wire.b.now(.listen(listener, backlog: 5)).value == 0)
        let client = try wire.a.socket(nonBlocking: true)
        _ = try wire.a.now(.connect(client, SocketAddress(Wire.far, port: 80)))
        wire.run(.milliseconds(50))
        #expect(try wire.a.set(client, Linux.SOL_SOCKET, Linux.SO_LINGER, 1, 0) == .none)
        #expect(try wire.a.now(.close(client)).value == 0)
        wire.run(.milliseconds(50))
        let server = Int32(try wire.b.now(.accept(listener)).value)
        #expect(server > 0)
        #expect(try wire.b.now(.read(server, count: 1)).errno == .ECONNRESET)
    }

    @Test("SIOCOUTQ counts what is not acknowledged, SIOCOUTQNSD what was not sent")
    func outQueue() throws {
        let link = try Link(nonBlocking: true)
        let kernel = link.wire.a
        #expect(try kernel.now(.write(link.client, [UInt8](repeating: 1, count: 20_000))).value == 20_000)
        #expect(try kernel.now(.ioctl(link.client, request: Linux.SIOCOUTQ)).integer == 20_000)
        #expect(try kernel.now(.ioctl(link.client, request: Linux.SIOCOUTQNSD)).integer == 5520)
        #expect(try kernel.now(.ioctl(link.client, request: 0x1234)).errno == .ENOTTY)
        link.wire.run(.seconds(1))
        #expect(try kernel.now(.ioctl(link.client, request: Linux.SIOCOUTQ)).integer == 0)
    }
}
