import TCPSockets
import TCPWire
import Testing

@Suite("read and write, and all that is like them")
struct TransferTests {
    @Test("read blocks until octets come, gives what there is, and says zero at the end")
    func reading() throws {
        let link = try Link()
        let waiting = link.wire.b.submit(.read(link.server, count: 100))
        #expect(link.wire.b.result(of: waiting) == nil)
        #expect(try link.wire.a.now(.write(link.client, text("hello"))).value == 5)
        link.wire.run(.milliseconds(20))
        let result = try #require(link.wire.b.result(of: waiting))
        #expect(result.octets == text("hello"))
        let end = link.wire.b.submit(.recv(link.server, count: 100, flags: 0))
        #expect(try link.wire.a.now(.close(link.client)).value == 0)
        link.wire.run(.milliseconds(20))
        #expect(link.wire.b.result(of: end)?.value == 0)
        #expect(try link.wire.b.now(.read(link.server, count: 100)).value == 0)
    }

    @Test("Without blocking a read of nothing says EAGAIN, by O_NONBLOCK, FIONBIO or MSG_DONTWAIT")
    func nonBlocking() throws {
        let link = try Link()
        let kernel = link.wire.b
        #expect(try kernel.now(.recv(link.server, count: 1, flags: Linux.MSG_DONTWAIT)).errno == .EAGAIN)
        #expect(kernel.call(.read(link.server, count: 1)) == nil)
        #expect(try kernel.now(.ioctl(link.server, request: Linux.FIONBIO, argument: 1)).value == 0)
        #expect(try kernel.now(.read(link.server, count: 1)).errno == .EAGAIN)
        #expect(try kernel.now(.fcntl(link.server, command: Linux.F_SETFL, argument: 0)).value == 0)
        #expect(kernel.call(.read(link.server, count: 1)) == nil)
    }

    @Test("MSG_PEEK leaves what it shows, MSG_WAITALL waits for all, MSG_TRUNC counts and throws away")
    func flags() throws {
        let link = try Link()
        let kernel = link.wire.b
        #expect(try link.wire.a.now(.writev(link.client, [text("ab"), text("cd")])).value == 4)
        link.wire.run(.milliseconds(20))
        #expect(try kernel.now(.recv(link.server, count: 3, flags: Linux.MSG_PEEK)).octets == text("abc"))
        #expect(try kernel.now(.ioctl(link.server, request: Linux.SIOCINQ)).integer == 4)
        let waiting = kernel.submit(.recv(link.server, count: 6, flags: Linux.MSG_WAITALL))
        #expect(kernel.result(of: waiting) == nil)
        #expect(try link.wire.a.now(.send(link.client, text("efgh"), flags: 0)).value == 4)
        link.wire.run(.milliseconds(20))
        #expect(kernel.result(of: waiting)?.octets == text("abcdef"))
        let thrown = try kernel.now(.recv(link.server, count: 2, flags: Linux.MSG_TRUNC))
        #expect(thrown.value == 2)
        #expect(thrown.octets.isEmpty)
        #expect(try kernel.now(.recv(link.server, count: 1, flags: Linux.MSG_OOB)).errno == .EINVAL)
        #expect(try kernel.now(.recv(link.server, count: 1, flags: Linux.MSG_ERRQUEUE)).errno == .EAGAIN)
    }

    @Test("SO_RCVLOWAT and SO_RCVTIMEO decide how long a read waits, and for how much")
    func lowWater() throws {
        let link = try Link()
        let kernel = link.wire.b
        #expect(try kernel.set(link.server, Linux.SOL_SOCKET, Linux.SO_RCVLOWAT, 3) == .none)
        var second = [UInt8](repeating: 0, count: 16)
        second[0] = 1
        #expect(
            try kernel.now(
                .setsockopt(link.server, level: Linux.SOL_SOCKET, name: Linux.SO_RCVTIMEO, value: second)
            ).value == 0)
        let first = kernel.submit(.read(link.server, count: 10))
        #expect(try link.wire.a.now(.write(link.client, text("ab"))).value == 2)
        link.wire.run(.milliseconds(500))
        #expect(kernel.result(of: first) == nil)
        #expect(try kernel.poll(link.server, Linux.POLLIN) == 0)
        link.wire.run(.milliseconds(600))
        #expect(kernel.result(of: first)?.octets == text("ab"))
        let second2 = kernel.submit(.read(link.server, count: 10))
        link.wire.run(.milliseconds(1100))
        #expect(kernel.result(of: second2)?.errno == .EAGAIN)
    }

    @Test("A write that blocks returns when all is queued; without blocking it takes what fits, then says EAGAIN")
    func writing() throws {
        let link = try Link()
        let kernel = link.wire.a
        #expect(try kernel.set(link.client, Linux.SOL_SOCKET, Linux.SO_SNDBUF, 4096) == .none)
        let octets = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let waiting = kernel.submit(.write(link.client, octets))
        #expect(kernel.result(of: waiting) == nil)
        link.wire.run(.seconds(1))
        #expect(kernel.result(of: waiting)?.value == 20_000)
        #expect(try link.wire.b.now(.read(link.server, count: 30_000)).octets == octets)
        link.wire.losesFromA = true
        #expect(try kernel.now(.send(link.client, octets, flags: Linux.MSG_DONTWAIT)).value == 4096)
        #expect(try kernel.now(.send(link.client, octets, flags: Linux.MSG_DONTWAIT)).errno == .EAGAIN)
        #expect(try kernel.poll(link.client, Linux.POLLOUT) == 0)
        link.wire.losesFromA = false
        link.wire.run(.seconds(1))
        #expect(try kernel.poll(link.client, Linux.POLLOUT) == Linux.POLLOUT)
    }

    @Test("TCP_NOTSENT_LOWAT takes no more while that much waits unsent")
    func notSentLowWater() throws {
        let link = try Link(nonBlocking: true)
        let kernel = link.wire.a
        #expect(try kernel.set(link.client, Linux.IPPROTO_TCP, Linux.TCP_NOTSENT_LOWAT, 5000) == .none)
        let octets = [UInt8](repeating: 1, count: 20_000)
        // Ten segments of 1448 octets leave; what is left of the first write is above the mark.
        #expect(try kernel.now(.write(link.client, octets)).value == 20_000)
        #expect(kernel.information(of: link.client)?.notSent == 5520)
        #expect(try kernel.poll(link.client, Linux.POLLOUT) == 0)
        #expect(try kernel.now(.write(link.client, octets)).errno == .EAGAIN)
        link.wire.run(.milliseconds(20))
        #expect(try kernel.poll(link.client, Linux.POLLOUT) == Linux.POLLOUT)
    }

    @Test("Calls on a socket that has no connection: ENOTCONN to read, EPIPE to write; BSD says ENOTCONN to both")
    func notConnected() throws {
        for flavour in KernelSettings.Flavour.allCases {
            let kernel = Wire { $0.flavour = flavour }.a
            let socket = try kernel.socket()
            #expect(try kernel.now(.recv(socket, count: 1, flags: 0)).errno == .ENOTCONN)
            #expect(try kernel.now(.write(socket, text("x"))).errno == (flavour == .linux ? .EPIPE : .ENOTCONN))
            #expect(try kernel.now(.shutdown(socket, how: Linux.SHUT_WR)).errno == .ENOTCONN)
            #expect(try kernel.now(.getpeername(socket)).errno == .ENOTCONN)
            #expect(try kernel.now(.listen(socket, backlog: 1)).value == 0)
            #expect(try kernel.now(.read(socket, count: 1)).errno == .ENOTCONN)
        }
    }

    @Test("TCP_INQ: recvmsg tells what is left, and one at the end of the stream")
    func queueLength() throws {
        let link = try Link()
        let kernel = link.wire.b
        #expect(try kernel.set(link.server, Linux.IPPROTO_TCP, Linux.TCP_INQ, 1) == .none)
        #expect(try link.wire.a.now(.write(link.client, text("abcdef"))).value == 6)
        link.wire.run(.milliseconds(20))
        func hint(_ count: Int) throws -> UInt8? {
            let result = try kernel.now(.recvmsg(link.server, counts: [count], controlRoom: 24, flags: 0))
            #expect(result.control.count == 24)
            #expect(result.control[0] == 20)
            #expect(result.control[8] == 6)
            #expect(result.control[12] == 36)
            return result.control[16]
        }
        #expect(try hint(2) == 4)
        #expect(try link.wire.a.now(.close(link.client)).value == 0)
        link.wire.run(.milliseconds(20))
        #expect(try hint(10) == 1)
        let small = try kernel.now(.recvmsg(link.server, counts: [1], controlRoom: 4, flags: 0))
        #expect(small.messageFlags == Linux.MSG_CTRUNC)
    }

    @Test("MSG_MORE and TCP_CORK hold what does not fill a segment until more comes, or a while has passed")
    func corking() throws {
        let link = try Link()
        let kernel = link.wire.a
        func packets() -> [Int] {
            var result: [Int] = []
            while let packet = kernel.nextPacket() { result.append(packet.octets.count - 52) }
            return result
        }
        #expect(try kernel.set(link.client, Linux.IPPROTO_TCP, Linux.TCP_NODELAY, 1) == .none)
        #expect(try kernel.now(.send(link.client, text("abc"), flags: Linux.MSG_MORE)).value == 3)
        #expect(packets() == [])
        #expect(try kernel.now(.send(link.client, text("d"), flags: 0)).value == 1)
        #expect(packets() == [4])
        #expect(try kernel.set(link.client, Linux.IPPROTO_TCP, Linux.TCP_CORK, 1) == .none)
        #expect(try kernel.now(.write(link.client, [UInt8](repeating: 1, count: 1500))).value == 1500)
        #expect(packets() == [1448])
        #expect(try kernel.set(link.client, Linux.IPPROTO_TCP, Linux.TCP_CORK, 0) == .none)
        #expect(packets() == [52])
    }

    @Test("Corked octets do not wait for ever (RFC 9293 §3.8.6.2.1, the override time-out)")
    func corkedForever() throws {
        let link = try Link()
        #expect(try link.wire.a.set(link.client, Linux.IPPROTO_TCP, Linux.TCP_CORK, 1) == .none)
        #expect(try link.wire.a.now(.write(link.client, text("abc"))).value == 3)
        link.wire.run(.milliseconds(100))
        #expect(try link.wire.b.poll(link.server, Linux.POLLIN) == 0)
        link.wire.run(.seconds(1))
        #expect(try link.wire.b.now(.read(link.server, count: 10)).octets == text("abc"))
    }
}
