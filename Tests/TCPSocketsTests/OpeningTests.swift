import TCPSockets
import TCPWire
import Testing

@Suite("socket, bind, listen, accept, connect")
struct OpeningTests {
    @Test("Only stream sockets of IPv4 and IPv6 can be had, and what else is asked for has its error")
    func kinds() throws {
        let kernel = Wire().a
        #expect(try kernel.now(.socket(domain: 2, type: Linux.SOCK_STREAM, protocol: 6)).value == 3)
        #expect(try kernel.now(.socket(domain: 10, type: Linux.SOCK_STREAM, protocol: 0)).value == 4)
        #expect(try kernel.now(.socket(domain: 1, type: Linux.SOCK_STREAM, protocol: 0)).errno == .EAFNOSUPPORT)
        #expect(try kernel.now(.socket(domain: 2, type: Linux.SOCK_DGRAM, protocol: 0)).errno == .EPROTONOSUPPORT)
        #expect(try kernel.now(.socket(domain: 2, type: Linux.SOCK_STREAM, protocol: 17)).errno == .EPROTONOSUPPORT)
        #expect(try kernel.now(.socket(domain: 2, type: 5, protocol: 0)).errno == .ESOCKTNOSUPPORT)
        #expect(try kernel.now(.socket(domain: 2, type: 1 | 1 << 20, protocol: 0)).errno == .EINVAL)
    }

    @Test("A descriptor that was closed is the next one given, and is no socket meanwhile")
    func descriptors() throws {
        let kernel = Wire().a
        let first = try kernel.socket()
        let second = try kernel.socket()
        #expect(try kernel.now(.close(first)).value == 0)
        #expect(try kernel.now(.close(first)).errno == .EBADF)
        #expect(try kernel.now(.listen(first, backlog: 1)).errno == .EBADF)
        #expect(try kernel.socket() == first)
        #expect(second == first + 1)
    }

    @Test("bind takes an address of this host once, and a port nobody has")
    func bind() throws {
        let kernel = Wire().a
        let one = try kernel.socket()
        let two = try kernel.socket()
        #expect(try kernel.now(.bind(one, SocketAddress(Wire.far, port: 80))).errno == .EADDRNOTAVAIL)
        #expect(try kernel.now(.bind(one, SocketAddress(Wire.near6, port: 80))).errno == .EAFNOSUPPORT)
        #expect(try kernel.now(.bind(one, SocketAddress(Wire.near, port: 80))).value == 0)
        #expect(try kernel.now(.bind(one, SocketAddress(Wire.near, port: 81))).errno == .EINVAL)
        #expect(try kernel.now(.bind(two, SocketAddress(IPAddress(ipv4: 0), port: 80))).errno == .EADDRINUSE)
        #expect(try kernel.now(.bind(two, SocketAddress(Wire.near, port: 0))).value == 0)
        let port = try #require(try kernel.now(.getsockname(two)).address?.port)
        #expect(kernel.settings.ephemeralPorts.contains(port))
    }

    @Test("SO_REUSEADDR shares a port until one of the two listens")
    func reuse() throws {
        let kernel = Wire().a
        let any = SocketAddress(IPAddress(ipv4: 0), port: 80)
        let sockets = try (0..<3).map { _ in try kernel.socket() }
        for socket in sockets { #expect(try kernel.set(socket, Linux.SOL_SOCKET, Linux.SO_REUSEADDR, 1) == .none) }
        #expect(try kernel.now(.bind(sockets[0], any)).value == 0)
        #expect(try kernel.now(.bind(sockets[1], any)).value == 0)
        #expect(try kernel.now(.listen(sockets[0], backlog: 1)).value == 0)
        #expect(try kernel.now(.bind(sockets[2], any)).errno == .EADDRINUSE)
        #expect(try kernel.now(.listen(sockets[1], backlog: 1)).errno == .EADDRINUSE)
    }

    @Test("A listener of IPv4 and one of IPv6 alone share a port; one of both families does not")
    func families() throws {
        let kernel = Wire().a
        let four = try kernel.socket()
        let six = try kernel.socket(.ipv6)
        let any4 = SocketAddress(IPAddress(ipv4: 0), port: 80)
        let any6 = SocketAddress(family: .ipv6, address: IPAddress(high: 0, low: 0), port: 80)
        #expect(try kernel.now(.bind(four, any4)).value == 0)
        #expect(try kernel.now(.listen(four, backlog: 1)).value == 0)
        #expect(try kernel.now(.bind(six, any6)).errno == .EADDRINUSE)
        #expect(try kernel.set(six, Linux.IPPROTO_IPV6, Linux.IPV6_V6ONLY, 1) == .none)
        #expect(try kernel.now(.bind(six, any6)).value == 0)
        #expect(try kernel.now(.listen(six, backlog: 1)).value == 0)
    }

    @Test(
        "An IPv6 listener takes IPv4 connections too and names their peers as mapped addresses, unless it is IPv6 alone"
    )
    func dualStack() throws {
        for only in [false, true] {
            let wire = Wire()
            let listener = try wire.b.socket(.ipv6)
            #expect(try wire.b.set(listener, Linux.IPPROTO_IPV6, Linux.IPV6_V6ONLY, only ? 1 : 0) == .none)
            let any = SocketAddress(family: .ipv6, address: IPAddress(high: 0, low: 0), port: 80)
            #expect(try wire.b.now(.bind(listener, any)).value == 0)
            #expect(try wire.b.now(.listen(listener, backlog: 1)).value == 0)
            let client = try wire.a.socket()
            let opening = wire.a.submit(.connect(client, SocketAddress(Wire.far, port: 80)))
            wire.run(.milliseconds(50))
            #expect(wire.a.result(of: opening)?.errno == (only ? .ECONNREFUSED : Errno.none))
            guard !only else { continue }
            let accepted = try wire.b.now(.accept(listener))
            #expect(accepted.address?.family == .ipv6)
            #expect(accepted.address?.address == Wire.near)
        }
    }

    @Test("accept blocks until a connection is there, and says who it is")
    func accept() throws {
        let wire = Wire()
        let listener = try wire.b.socket()
        #expect(try wire.b.now(.accept(listener)).errno == .EINVAL)
        #expect(try wire.b.now(.bind(listener, SocketAddress(Wire.far, port: 80))).value == 0)
        #expect(try wire.b.now(.listen(listener, backlog: 1)).value == 0)
        let waiting = wire.b.submit(.accept(listener))
        let client = try wire.a.socket()
        let opening = wire.a.submit(.connect(client, SocketAddress(Wire.far, port: 80)))
        #expect(wire.b.result(of: waiting) == nil)
        #expect(wire.a.result(of: opening) == nil)
        let start = wire.a.now
        wire.run(.milliseconds(100))
        let opened = try #require(wire.a.result(of: opening))
        #expect(opened.value == 0)
        #expect(opened.time - start == .milliseconds(20))
        let accepted = try #require(wire.b.result(of: waiting))
        #expect(accepted.value == Int(listener) + 1)
        #expect(accepted.address == (try wire.a.now(.getsockname(client)).address))
        #expect(try wire.b.now(.getpeername(Int32(accepted.value))).address == accepted.address)
        #expect(accepted.time - start == .milliseconds(30))
    }

    @Test("A listener without blocking says EAGAIN, and what it accepts blocks on Linux and not on FreeBSD")
    func nonBlockingAccept() throws {
        for flavour in KernelSettings.Flavour.allCases {
            let link = try Link(
                prepare: { wire, _, listener in
                    try wire.b.now(.fcntl(listener, command: Linux.F_SETFL, argument: Linux.O_NONBLOCK))
                }, settings: { $0.flavour = flavour })
            #expect(try link.wire.b.now(.accept(link.listener)).errno == .EAGAIN)
            let flags = try link.wire.b.now(.fcntl(link.server, command: Linux.F_GETFL)).value
            #expect(flags == Int(Linux.O_RDWR | (flavour == .freeBSD ? Linux.O_NONBLOCK : 0)))
        }
    }

    @Test("SO_RCVTIMEO ends the wait of accept with EAGAIN")
    func acceptTimeout() throws {
        let wire = Wire()
        let listener = try wire.b.socket()
        var halfSecond = [UInt8](repeating: 0, count: 16)
        halfSecond[8...10] = [0x20, 0xA1, 0x07]
        #expect(
            try wire.b.now(
                .setsockopt(listener, level: Linux.SOL_SOCKET, name: Linux.SO_RCVTIMEO, value: halfSecond)
            ).value == 0)
        #expect(try wire.b.now(.listen(listener, backlog: 1)).value == 0)
        let waiting = wire.b.submit(.accept(listener))
        wire.run(.milliseconds(499))
        #expect(wire.b.result(of: waiting) == nil)
        wire.run(.milliseconds(2))
        #expect(wire.b.result(of: waiting)?.errno == .EAGAIN)
    }

    @Test("connect without blocking: EINPROGRESS, EALREADY, then zero once, then EISCONN")
    func nonBlockingConnect() throws {
        let wire = Wire()
        let listener = try wire.b.socket()
        #expect(try wire.b.now(.bind(listener, SocketAddress(Wire.far, port: 80))).value == 0)
        #expect(try wire.b.now(.listen(listener, backlog: 1)).value == 0)
        let client = try wire.a.socket(nonBlocking: true)
        let address = SocketAddress(Wire.far, port: 80)
        #expect(try wire.a.now(.connect(client, address)).errno == .EINPROGRESS)
        #expect(try wire.a.now(.connect(client, address)).errno == .EALREADY)
        #expect(try wire.a.poll(client) == 0)
        #expect(try wire.a.now(.write(client, text("x"))).errno == .EAGAIN)
        #expect(try wire.a.now(.getpeername(client)).errno == .ENOTCONN)
        wire.run(.milliseconds(50))
        #expect(try wire.a.poll(client) == Linux.POLLOUT)
        #expect(try wire.a.error(client) == .none)
        #expect(try wire.a.now(.connect(client, address)).value == 0)
        #expect(try wire.a.now(.connect(client, address)).errno == .EISCONN)
    }

    @Test("A refused connect says so once, by SO_ERROR or by the call, and the socket may try again")
    func refused() throws {
        let wire = Wire()
        let client = try wire.a.socket(nonBlocking: true)
        let address = SocketAddress(Wire.far, port: 80)
        #expect(try wire.a.now(.connect(client, address)).errno == .EINPROGRESS)
        wire.run(.milliseconds(50))
        let everything = Linux.POLLIN | Linux.POLLOUT | Linux.POLLERR | Linux.POLLHUP | Linux.POLLRDHUP
        #expect(try wire.a.poll(client) == everything)
        #expect(try wire.a.error(client) == .ECONNREFUSED)
        #expect(try wire.a.error(client) == .none)
        #expect(try wire.a.now(.connect(client, address)).errno == .ECONNABORTED)
        let listener = try wire.b.socket()
        #expect(try wire.b.now(.bind(listener, address)).value == 0)
        #expect(try wire.b.now(.listen(listener, backlog: 1)).value == 0)
        #expect(try wire.a.now(.connect(client, address)).errno == .EINPROGRESS)
        wire.run(.milliseconds(50))
        #expect(wire.a.state(client) == "ESTABLISHED")

        let other = try wire.a.socket()
        let opening = wire.a.submit(.connect(other, SocketAddress(Wire.far, port: 81)))
        wire.run(.milliseconds(50))
        #expect(wire.a.result(of: opening)?.errno == .ECONNREFUSED)
        #expect(try wire.a.error(other) == .none)
    }

    @Test("A SYN nobody answers ends connect with ETIMEDOUT, after as many as TCP_SYNCNT says")
    func timesOut() throws {
        let wire = Wire()
        wire.losesFromB = true
        let client = try wire.a.socket()
        #expect(try wire.a.set(client, Linux.IPPROTO_TCP, Linux.TCP_SYNCNT, 2) == .none)
        let start = wire.a.now
        let opening = wire.a.submit(.connect(client, SocketAddress(Wire.far, port: 80)))
        wire.run(.seconds(60))
        let result = try #require(wire.a.result(of: opening))
        #expect(result.errno == .ETIMEDOUT)
        // One second, two, four.
        #expect((result.time - start).components.seconds == 7)
    }

    @Test("Addresses nobody can be reached at")
    func unreachable() throws {
        let kernel = Wire().a
        let client = try kernel.socket()
        #expect(
            try kernel.now(.connect(client, SocketAddress(IPAddress(224, 0, 0, 1), port: 80))).errno == .ENETUNREACH)
        #expect(try kernel.now(.connect(client, SocketAddress(Wire.far, port: 0))).errno == .EADDRNOTAVAIL)
        #expect(try kernel.now(.connect(client, SocketAddress(Wire.far6, port: 80))).errno == .EAFNOSUPPORT)
    }

    @Test("A kernel connects to itself")
    func toItself() throws {
        let kernel = Wire().a
        let listener = try kernel.socket()
        let here = SocketAddress(Wire.near, port: 80)
        #expect(try kernel.now(.bind(listener, here)).value == 0)
        #expect(try kernel.now(.listen(listener, backlog: 1)).value == 0)
        let client = try kernel.socket()
        #expect(try kernel.now(.connect(client, here)).value == 0)
        #expect(try kernel.now(.accept(listener)).value == 5)
        #expect(kernel.nextPacket() == nil)
    }

    @Test("TCP_DEFER_ACCEPT keeps a connection from accept until it has something to read, or its time is over")
    func deferAccept() throws {
        let wire = Wire()
        let listener = try wire.b.socket(nonBlocking: true)
        #expect(try wire.b.set(listener, Linux.IPPROTO_TCP, Linux.TCP_DEFER_ACCEPT, 3) == .none)
        #expect(try wire.b.now(.bind(listener, SocketAddress(Wire.far, port: 80))).value == 0)
        #expect(try wire.b.now(.listen(listener, backlog: 5)).value == 0)
        let clients = try (0..<2).map { _ in try wire.a.socket(nonBlocking: true) }
        for client in clients { _ = try wire.a.now(.connect(client, SocketAddress(Wire.far, port: 80))) }
        wire.run(.milliseconds(50))
        #expect(try wire.b.now(.accept(listener)).errno == .EAGAIN)
        #expect(try wire.a.now(.write(clients[1], text("x"))).value == 1)
        wire.run(.milliseconds(50))
        #expect(try wire.b.poll(listener) == Linux.POLLIN)
        let accepted = try wire.b.now(.accept(listener))
        #expect(accepted.address?.port == (try wire.a.now(.getsockname(clients[1])).address?.port))
        #expect(try wire.b.now(.accept(listener)).errno == .EAGAIN)
        wire.run(.seconds(4))
        #expect(try wire.b.now(.accept(listener)).value > 0)
    }
}
