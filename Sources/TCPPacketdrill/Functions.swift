import Glibc
import TCPSockets
import TCPWire

// The functions of the table, in its order. Each is handed the adapter first.

typealias User = UnsafeMutableRawPointer?
typealias Pointer = UnsafeMutableRawPointer?

/// A function as a word of the table.
private func word<Function>(_ function: Function) -> UInt { unsafeBitCast(function, to: UInt.self) }

let tableFunctions: [UInt] = namingFunctions + transferFunctions + controlFunctions + wireFunctions + otherFunctions

// 1 free … 6 connect
private var namingFunctions: [UInt] {
    let free: @convention(c) (User) -> Void = { release($0) }
    let socket: @convention(c) (User, Int32, Int32, Int32) -> Int32 = { user, domain, type, number in
        answer(user, .socket(domain: domain, type: type, protocol: number))
    }
    let bind: @convention(c) (User, Int32, UnsafeRawPointer?, UInt32) -> Int32 = { user, descriptor, address, length in
        withAddress(address, length) { answer(user, .bind(descriptor, $0)) }
    }
    let listen: @convention(c) (User, Int32, Int32) -> Int32 = { user, descriptor, backlog in
        answer(user, .listen(descriptor, backlog: backlog))
    }
    let accept: @convention(c) (User, Int32, Pointer, UnsafeMutablePointer<UInt32>?) -> Int32 = {
        user, descriptor, address, length in
        let result = adapter(user).perform(.accept(descriptor))
        if result.value >= 0 { store(result.address, address, length) }
        return number(result)
    }
    let connect: @convention(c) (User, Int32, UnsafeRawPointer?, UInt32) -> Int32 = {
        user, descriptor, address, length in
        withAddress(address, length) { answer(user, .connect(descriptor, $0)) }
    }
    return [word(free), word(socket), word(bind), word(listen), word(accept), word(connect)]
}

// 7 read … 16 sendmsg
private var transferFunctions: [UInt] { readingFunctions + writingFunctions }

private var readingFunctions: [UInt] {
    let read: @convention(c) (User, Int32, Pointer, Int) -> Int = { user, descriptor, buffer, count in
        deliver(adapter(user).perform(.read(descriptor, count: count)), buffer)
    }
    let readv: @convention(c) (User, Int32, UnsafePointer<iovec>?, Int32) -> Int = { user, descriptor, parts, count in
        guard let parts = vector(parts, Int(count)) else { return fail(EINVAL) }
        return scatter(adapter(user).perform(.readv(descriptor, counts: parts.map(\.iov_len))), parts)
    }
    let recv: @convention(c) (User, Int32, Pointer, Int, Int32) -> Int = { user, descriptor, buffer, count, flags in
        deliver(adapter(user).perform(.recv(descriptor, count: count, flags: flags)), buffer)
    }
    let recvfrom: @convention(c) (User, Int32, Pointer, Int, Int32, Pointer, UnsafeMutablePointer<UInt32>?) -> Int = {
        user, descriptor, buffer, count, flags, address, length in
        let result = adapter(user).perform(.recv(descriptor, count: count, flags: flags))
        // TCP names nobody.
        if result.value >= 0 { store(result.address, address, length) }
        return deliver(result, buffer)
    }
    let recvmsg: @convention(c) (User, Int32, UnsafeMutablePointer<msghdr>?, Int32) -> Int = {
        user, descriptor, message, flags in
        guard let message else { return fail(EFAULT) }
        guard let parts = vector(message.pointee.msg_iov, message.pointee.msg_iovlen) else { return fail(EMSGSIZE) }
        let room = message.pointee.msg_control == nil ? 0 : Int(message.pointee.msg_controllen)
        let result = adapter(user).perform(
            .recvmsg(descriptor, counts: parts.map(\.iov_len), controlRoom: room, flags: flags))
        guard result.value >= 0 else { return wide(result) }
        message.pointee.msg_namelen = 0
        result.control.withUnsafeBytes { copy($0, message.pointee.msg_control) }
        message.pointee.msg_controllen = result.control.count
        message.pointee.msg_flags = result.messageFlags
        return scatter(result, parts)
    }
    return [word(read), word(readv), word(recv), word(recvfrom), word(recvmsg)]
}

private var writingFunctions: [UInt] {
    let write: @convention(c) (User, Int32, UnsafeRawPointer?, Int) -> Int = { user, descriptor, buffer, count in
        wide(adapter(user).perform(.write(descriptor, octets(buffer, count))))
    }
    let writev: @convention(c) (User, Int32, UnsafePointer<iovec>?, Int32) -> Int = { user, descriptor, parts, count in
        guard let parts = vector(parts, Int(count)) else { return fail(EINVAL) }
        return wide(adapter(user).perform(.writev(descriptor, parts.map { octets($0.iov_base, $0.iov_len) })))
    }
    let send: @convention(c) (User, Int32, UnsafeRawPointer?, Int, Int32) -> Int = {
        user, descriptor, buffer, count, flags in
        wide(adapter(user).perform(.send(descriptor, octets(buffer, count), flags: flags)))
    }
    let sendto: @convention(c) (User, Int32, UnsafeRawPointer?, Int, Int32, UnsafeRawPointer?, UInt32) -> Int = {
        user, descriptor, buffer, count, flags, address, length in
        let octets = octets(buffer, count)
        guard address != nil else { return wide(adapter(user).perform(.send(descriptor, octets, flags: flags))) }
        return Int(
            withAddress(address, length) {
                number(adapter(user).perform(.send(descriptor, octets, flags: flags, to: $0)))
            })
    }
    let sendmsg: @convention(c) (User, Int32, UnsafePointer<msghdr>?, Int32) -> Int = {
        user, descriptor, message, flags in
        guard let message = message?.pointee else { return fail(EFAULT) }
        guard let parts = vector(message.msg_iov, message.msg_iovlen) else { return fail(EMSGSIZE) }
        let control = message.msg_control == nil ? [] : octets(message.msg_control, Int(message.msg_controllen))
        return wide(
            adapter(user).perform(
                .sendmsg(
                    descriptor, parts.map { octets($0.iov_base, $0.iov_len) }, flags: flags, control: control)))
    }
    return [word(write), word(writev), word(send), word(sendto), word(sendmsg)]
}

// 17 fcntl … 23 poll
private var controlFunctions: [UInt] {
    // fcntl and ioctl are variadic in C: one word more serves all their forms.
    let fcntl: @convention(c) (User, Int32, Int32, Int) -> Int32 = { user, descriptor, command, argument in
        answer(user, .fcntl(descriptor, command: command, argument: Int32(truncatingIfNeeded: argument)))
    }
    let ioctl: @convention(c) (User, Int32, UInt, UnsafeMutablePointer<Int32>?) -> Int32 = {
        user, descriptor, request, argument in
        if request == Linux.FIOCLEX || request == Linux.FIONCLEX {
            return answer(user, .ioctl(descriptor, request: request))
        }
        guard let argument else { return Int32(fail(EFAULT)) }
        let reads = request == Linux.FIONBIO
        let result = adapter(user).perform(
            .ioctl(descriptor, request: request, argument: reads ? argument.pointee : 0))
        if result.value == 0, !reads { argument.pointee = result.integer }
        return number(result)
    }
    let close: @convention(c) (User, Int32) -> Int32 = { user, descriptor in
        let result = adapter(user).perform(.close(descriptor))
        if result.value == 0 { _ = Glibc.close(descriptor) }
        return number(result)
    }
    let shutdown: @convention(c) (User, Int32, Int32) -> Int32 = { user, descriptor, how in
        answer(user, .shutdown(descriptor, how: how))
    }
    let getsockopt: @convention(c) (User, Int32, Int32, Int32, Pointer, UnsafeMutablePointer<UInt32>?) -> Int32 = {
        user, descriptor, level, name, value, length in
        TCPPacketdrill.getsockopt(adapter(user), descriptor, level, name, value, length)
    }
    let setsockopt: @convention(c) (User, Int32, Int32, Int32, UnsafeRawPointer?, UInt32) -> Int32 = {
        user, descriptor, level, name, value, length in
        answer(
            user, .setsockopt(descriptor, level: level, name: name, value: octets(value, Int(min(length, 65536)))))
    }
    let poll: @convention(c) (User, Pointer, UInt, Int32) -> Int32 = { user, entries, count, timeout in
        guard count <= 65536, entries != nil || count == 0 else { return Int32(fail(EFAULT)) }
        let all = octets(entries, Int(count) * 8)
        let asked = (0..<Int(count)).map { PollDescriptor(octets: Array(all[$0 * 8..<$0 * 8 + 8])) }
        let result = adapter(user).perform(.poll(asked, timeout: timeout))
        if result.value >= 0 { result.polled.flatMap(\.octets).withUnsafeBytes { copy($0, entries) } }
        return number(result)
    }
    return [word(fcntl), word(ioctl), word(close), word(shutdown), word(getsockopt), word(setsockopt), word(poll)]
}

// 24 netdev_send … 27 gettimeofday
private var wireFunctions: [UInt] {
    let send: @convention(c) (User, UnsafeRawPointer?, Int) -> Int32 = { user, packet, count in
        adapter(user).inject(octets(packet, count))
        return 0
    }
    let receive: @convention(c) (User, Pointer, UnsafeMutablePointer<Int>?, UnsafeMutablePointer<Int64>?) -> Int32 = {
        user, buffer, count, time in
        guard let buffer, let count, let time, count.pointee > 0 else { return Int32(fail(EFAULT)) }
        // One octet is no packet, which tells the caller that its packet will not come.
        let packet = adapter(user).nextPacket() ?? OutgoingPacket(octets: [0xFF], time: adapter(user).now)
        guard packet.octets.count <= count.pointee else { return Int32(fail(EMSGSIZE)) }
        packet.octets.withUnsafeBytes { copy($0, buffer) }
        count.pointee = packet.octets.count
        time.pointee = packet.time.nanoseconds / 1000
        return 0
    }
    let sleep: @convention(c) (User, UInt32) -> Int32 = { user, microseconds in
        adapter(user).sleep(microseconds: microseconds)
        return 0
    }
    let timeOfDay: @convention(c) (User, UnsafeMutablePointer<timeval>?, Pointer) -> Int32 = { user, time, _ in
        let microseconds = adapter(user).timeOfDay().nanoseconds / 1000
        time?.pointee = timeval(
            tv_sec: Int(microseconds / 1_000_000), tv_usec: Int(microseconds % 1_000_000))
        return 0
    }
    return [word(send), word(receive), word(sleep), word(timeOfDay)]
}

// 28 epoll_create … 32 splice
private var otherFunctions: [UInt] {
    let create: @convention(c) (User, Int32) -> Int32 = { user, size in
        // The size of epoll_create(2) means nothing but that it must be positive.
        size > 0 ? answer(user, .epollCreate()) : Int32(fail(EINVAL))
    }
    let control: @convention(c) (User, Int32, Int32, Int32, UnsafeRawPointer?) -> Int32 = {
        user, descriptor, operation, target, event in
        let event = event.map { EpollEvent(octets: octets($0, EpollEvent.size)) }
        return answer(user, .epollControl(descriptor, operation: operation, descriptor: target, event: event))
    }
    let wait: @convention(c) (User, Int32, Pointer, Int32, Int32) -> Int32 = {
        user, descriptor, events, maximum, timeout in
        guard events != nil else { return Int32(fail(EFAULT)) }
        let result = adapter(user).perform(.epollWait(descriptor, maximum: Int(maximum), timeout: timeout))
        result.events.flatMap(\.octets).withUnsafeBytes { copy($0, events) }
        return number(result)
    }
    let pipe: @convention(c) (User, UnsafeMutablePointer<Int32>?) -> Int32 = { user, ends in
        guard let ends else { return Int32(fail(EFAULT)) }
        let result = adapter(user).perform(.pipe())
        for (index, descriptor) in result.descriptors.enumerated() { ends[index] = descriptor }
        return number(result)
    }
    let splice:
        @convention(c) (
            User, Int32, UnsafePointer<Int64>?, Int32, UnsafePointer<Int64>?, Int, UInt32
        ) -> Int = { user, source, from, target, to, count, flags in
            wide(
                adapter(user).perform(
                    .splice(
                        from: source, fromOffset: from?.pointee, to: target, toOffset: to?.pointee, count: count,
                        flags: Int32(bitPattern: flags))))
        }
    return [word(create), word(control), word(wait), word(pipe), word(splice)]
}
