import TCPSockets
import TCPWire
import Testing

@Suite("poll, epoll, pipe, splice")
struct PollingTests {
    @Test("poll blocks until something is ready, or its time is over; a number that is no descriptor is told at once")
    func poll() throws {
        let link = try Link()
        let kernel = link.wire.b
        let entry = PollDescriptor(link.server, events: Linux.POLLIN)
        let waiting = kernel.submit(.poll([PollDescriptor(-1, events: Linux.POLLIN), entry], timeout: -1))
        let limited = kernel.submit(.poll([entry], timeout: 5))
        let start = kernel.now
        #expect(
            try kernel.now(.poll([PollDescriptor(99, events: 0)], timeout: -1)).polled[0].returned == Linux.POLLNVAL)
        #expect(try link.wire.a.now(.write(link.client, text("x"))).value == 1)
        link.wire.run(.milliseconds(30))
        let result = try #require(kernel.result(of: waiting))
        #expect(result.value == 1)
        #expect(result.polled.map(\.returned) == [0, Linux.POLLIN])
        #expect(result.time - start == .milliseconds(10))
        let over = try #require(kernel.result(of: limited))
        #expect(over.value == 0)
        #expect(over.time - start == .milliseconds(5))
    }

    private func watch(
        _ kernel: VirtualKernel, _ epoll: Int32, _ descriptor: Int32, _ events: UInt32,
        _ operation: Int32 = Linux.EPOLL_CTL_ADD
    ) throws -> Errno {
        let event = EpollEvent(events: events, data: UInt64(descriptor))
        return try kernel.now(.epollControl(epoll, operation: operation, descriptor: descriptor, event: event)).errno
    }

    private func events(_ kernel: VirtualKernel, _ epoll: Int32) throws -> [UInt32] {
        try kernel.now(.epollWait(epoll, maximum: 10, timeout: 0)).events.map(\.events)
    }

    @Test("epoll_ctl's errors")
    func control() throws {
        let link = try Link()
        let kernel = link.wire.b
        let epoll = Int32(try kernel.now(.epollCreate()).value)
        #expect(try watch(kernel, epoll, 99, Linux.EPOLLIN) == .EBADF)
        #expect(try watch(kernel, epoll, epoll, Linux.EPOLLIN) == .EINVAL)
        #expect(try watch(kernel, link.server, epoll, Linux.EPOLLIN) == .EINVAL)
        #expect(try watch(kernel, epoll, link.server, Linux.EPOLLIN, Linux.EPOLL_CTL_MOD) == .ENOENT)
        #expect(try watch(kernel, epoll, link.server, Linux.EPOLLIN) == .none)
        #expect(try watch(kernel, epoll, link.server, Linux.EPOLLIN) == .EEXIST)
        #expect(try watch(kernel, epoll, link.server, 0, Linux.EPOLL_CTL_DEL) == .none)
        #expect(try watch(kernel, epoll, link.server, 0, Linux.EPOLL_CTL_DEL) == .ENOENT)
        #expect(try watch(kernel, epoll, link.server, 0, 7) == .EINVAL)
        #expect(try kernel.now(.epollWait(epoll, maximum: 0, timeout: 0)).errno == .EINVAL)
        #expect(try kernel.now(.epollWait(link.server, maximum: 1, timeout: 0)).errno == .EINVAL)
        let other = Int32(try kernel.now(.epollCreate()).value)
        #expect(try watch(kernel, other, epoll, Linux.EPOLLIN) == .none)
        #expect(try watch(kernel, epoll, other, Linux.EPOLLIN) == .ELOOP)
    }

    @Test("Level: told as long as it is so. Edge: told once for each arrival. One shot: told once until armed again")
    func modes() throws {
        let link = try Link()
        let kernel = link.wire.b
        let modes: [UInt32] = [0, Linux.EPOLLET, Linux.EPOLLONESHOT]
        var epolls: [Int32] = []
        for mode in modes {
            let epoll = Int32(try kernel.now(.epollCreate()).value)
            #expect(try watch(kernel, epoll, link.server, Linux.EPOLLIN | mode) == .none)
            epolls.append(epoll)
        }
        func seen() throws -> [Bool] { try epolls.map { try !events(kernel, $0).isEmpty } }
        #expect(try seen() == [false, false, false])
        let waiting = kernel.submit(.epollWait(epolls[0], maximum: 1, timeout: -1))
        #expect(try link.wire.a.now(.write(link.client, text("ab"))).value == 2)
        link.wire.run(.milliseconds(20))
        #expect(kernel.result(of: waiting)?.events.first?.data == UInt64(link.server))
        #expect(try seen() == [true, true, true])
        #expect(try seen() == [true, false, false])
        // More comes while the first is unread.
        #expect(try link.wire.a.now(.write(link.client, text("cd"))).value == 2)
        link.wire.run(.milliseconds(100))
        #expect(try seen() == [true, true, false])
        #expect(
            try watch(kernel, epolls[2], link.server, Linux.EPOLLIN | Linux.EPOLLONESHOT, Linux.EPOLL_CTL_MOD) == .none)
        #expect(try seen() == [true, false, true])
        #expect(try kernel.now(.read(link.server, count: 10)).value == 4)
        #expect(try seen() == [false, false, false])
        #expect(try link.wire.a.now(.close(link.client)).value == 0)
        link.wire.run(.milliseconds(20))
        #expect(try seen() == [true, true, false])
        // Closing takes a descriptor out of every set.
        #expect(try kernel.now(.close(link.server)).value == 0)
        #expect(try seen() == [false, false, false])
    }

    @Test("An edge of writability comes when a full buffer has room again")
    func writableEdge() throws {
        let link = try Link(nonBlocking: true)
        let kernel = link.wire.a
        #expect(try kernel.set(link.client, Linux.SOL_SOCKET, Linux.SO_SNDBUF, 4096) == .none)
        let epoll = Int32(try kernel.now(.epollCreate()).value)
        #expect(try watch(kernel, epoll, link.client, Linux.EPOLLOUT | Linux.EPOLLET) == .none)
        #expect(try events(kernel, epoll) == [Linux.EPOLLOUT])
        #expect(try kernel.now(.write(link.client, [UInt8](repeating: 1, count: 10_000))).value == 4096)
        #expect(try events(kernel, epoll) == [])
        link.wire.run(.milliseconds(100))
        #expect(try events(kernel, epoll) == [Linux.EPOLLOUT])
        #expect(try events(kernel, epoll) == [])
    }

    @Test("When more is ready than fits, each has its turn")
    func turns() throws {
        let wire = Wire()
        let kernel = wire.a
        let epoll = Int32(try kernel.now(.epollCreate()).value)
        // Sockets without a connection are ready: HUP.
        for _ in 0..<3 { #expect(try watch(kernel, epoll, try kernel.socket(), Linux.EPOLLOUT) == .none) }
        var turns: [UInt64] = []
        for _ in 0..<3 {
            let found = try kernel.now(.epollWait(epoll, maximum: 1, timeout: 0)).events
            #expect(found.first?.events == Linux.EPOLLOUT | Linux.EPOLLHUP)
            turns += found.map(\.data)
        }
        #expect(Set(turns).count == 3)
    }

    @Test("A pipe holds 64 KiB, blocks at both ends, and ends when one end is closed")
    func pipe() throws {
        let kernel = Wire().a
        let ends = try kernel.now(.pipe()).descriptors
        let reading = kernel.submit(.read(ends[0], count: 3))
        #expect(kernel.result(of: reading) == nil)
        #expect(try kernel.now(.write(ends[1], text("abcdef"))).value == 6)
        #expect(kernel.result(of: reading)?.octets == text("abc"))
        let writing = kernel.submit(.write(ends[1], [UInt8](repeating: 7, count: 70_000)))
        #expect(kernel.result(of: writing) == nil)
        #expect(try kernel.poll(ends[1], Linux.POLLOUT) == 0)
        #expect(try kernel.now(.read(ends[0], count: 5000)).value == 5000)
        #expect(kernel.result(of: writing)?.value == 70_000)
        #expect(try kernel.now(.read(ends[1], count: 1)).errno == .EBADF)
        #expect(try kernel.now(.close(ends[0])).value == 0)
        #expect(try kernel.now(.write(ends[1], text("x"))).errno == .EPIPE)
        #expect(try kernel.now(.listen(ends[1], backlog: 1)).errno == .ENOTSOCK)
        let others = try kernel.now(.pipe(flags: Linux.O_NONBLOCK)).descriptors
        #expect(try kernel.now(.read(others[0], count: 1)).errno == .EAGAIN)
        #expect(try kernel.now(.close(others[1])).value == 0)
        #expect(try kernel.now(.read(others[0], count: 1)).value == 0)
    }

    @Test("splice moves octets from a socket through a pipe into a socket; one end must be a pipe")
    func splice() throws {
        let link = try Link()
        let kernel = link.wire.b
        let ends = try kernel.now(.pipe()).descriptors
        let waiting = kernel.submit(.splice(from: link.server, to: ends[1], count: 100, flags: 0))
        #expect(try link.wire.a.now(.write(link.client, text("echo me"))).value == 7)
        link.wire.run(.milliseconds(20))
        #expect(kernel.result(of: waiting)?.value == 7)
        #expect(try kernel.now(.splice(from: ends[0], to: link.server, count: 4, flags: 0)).value == 4)
        #expect(try kernel.now(.splice(from: ends[0], to: link.server, count: 4, flags: 0)).value == 3)
        let nothing = Linux.SPLICE_F_NONBLOCK
        #expect(try kernel.now(.splice(from: ends[0], to: link.server, count: 4, flags: nothing)).errno == .EAGAIN)
        #expect(try kernel.now(.splice(from: link.server, to: link.server, count: 4, flags: 0)).errno == .EINVAL)
        link.wire.run(.milliseconds(200))
        #expect(try link.wire.a.now(.read(link.client, count: 10)).octets == text("echo me"))
    }
}
