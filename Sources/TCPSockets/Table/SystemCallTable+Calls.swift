import Glibc
import TCPWire

private typealias User = UnsafeMutableRawPointer?
private typealias Address = UnsafeMutableRawPointer?

extension SystemCallTable {
    /// Makes a call, as a program in C would. A call that blocks keeps its thread; names of ends are not in the table (ENOSYS).
    public func perform(_ call: SystemCall) -> CallResult {
        switch call {
        case .socket(let domain, let type, let number):
            typealias F = @convention(c) (User, Int32, Int32, Int32) -> Int32
            return result(Int(function(.socket, as: F.self)(userdata, domain, type, number)))
        case .bind(let descriptor, let address): return named(.bind, descriptor, address)
        case .connect(let descriptor, let address): return named(.connect, descriptor, address)
        case .listen(let descriptor, let backlog): return twoNumbers(.listen, descriptor, backlog)
        case .shutdown(let descriptor, let how): return twoNumbers(.shutdown, descriptor, how)
        case .accept(let descriptor, let flags): return accept(descriptor, flags)
        case .close(let descriptor): return oneNumber(.close, descriptor)
        case .epollCreate: return oneNumber(.epollCreate, 1)
        case .fcntl(let descriptor, let command, let argument):
            typealias F = @convention(c) (User, Int32, Int32, Int) -> Int32
            return result(Int(function(.fcntl, as: F.self)(userdata, descriptor, command, Int(argument))))
        case .ioctl(let descriptor, let request, let argument): return ioctl(descriptor, request, argument)
        case .getsockname, .getpeername: return CallResult(.ENOSYS)
        default: return performTransfer(call)
        }
    }

    private func performTransfer(_ call: SystemCall) -> CallResult {
        switch call {
        case .read(let descriptor, let count):
            typealias F = @convention(c) (User, Int32, Address, Int) -> Int
            return reading(count) { function(.read, as: F.self)(userdata, descriptor, $0, count) }
        case .recv(let descriptor, let count, let flags):
            typealias F = @convention(c) (User, Int32, Address, Int, Int32) -> Int
            return reading(count) { function(.recv, as: F.self)(userdata, descriptor, $0, count, flags) }
        case .readv(let descriptor, let counts): return scattered(.readv, descriptor, counts, room: 0, flags: nil)
        case .recvmsg(let descriptor, let counts, let room, let flags):
            return scattered(.recvmsg, descriptor, counts, room: room, flags: flags)
        case .write(let descriptor, let octets):
            typealias F = @convention(c) (User, Int32, UnsafeRawPointer?, Int) -> Int
            return octets.withUnsafeBytes {
                result(function(.write, as: F.self)(userdata, descriptor, $0.baseAddress, $0.count))
            }
        case .send(let descriptor, let octets, let flags, let address):
            return send(descriptor, octets, flags, address)
        case .writev(let descriptor, let parts): return gathered(.writev, descriptor, parts, [], nil, flags: nil)
        case .sendmsg(let descriptor, let parts, let flags, let address, let control):
            return gathered(.sendmsg, descriptor, parts, control, address, flags: flags)
        default: return performOther(call)
        }
    }

    private func performOther(_ call: SystemCall) -> CallResult {
        switch call {
        case .getsockopt(let descriptor, let level, let name, let length):
            typealias F = @convention(c) (User, Int32, Int32, Int32, Address, UnsafeMutablePointer<UInt32>) -> Int32
            var octets = [UInt8](repeating: 0, count: max(length, 0))
            var count = UInt32(octets.count)
            var result = octets.withUnsafeMutableBytes {
                self.result(
                    Int(function(.getsockopt, as: F.self)(userdata, descriptor, level, name, $0.baseAddress, &count)))
            }
            if result.value == 0 { result.option = Array(octets.prefix(Int(count))) }
            return result
        case .setsockopt(let descriptor, let level, let name, let value):
            typealias F = @convention(c) (User, Int32, Int32, Int32, UnsafeRawPointer?, UInt32) -> Int32
            return value.withUnsafeBytes {
                result(
                    Int(
                        function(.setsockopt, as: F.self)(
                            userdata, descriptor, level, name, $0.baseAddress, UInt32($0.count))))
            }
        case .poll(let entries, let timeout): return poll(entries, timeout)
        case .epollControl(let descriptor, let operation, let target, let event):
            typealias F = @convention(c) (User, Int32, Int32, Int32, Address) -> Int32
            var octets = event?.octets ?? []
            return octets.withUnsafeMutableBytes {
                let place = event == nil ? nil : $0.baseAddress
                return result(
                    Int(function(.epollControl, as: F.self)(userdata, descriptor, operation, target, place)))
            }
        case .epollWait(let descriptor, let maximum, let timeout): return waitEpoll(descriptor, maximum, timeout)
        case .pipe:
            typealias F = @convention(c) (User, UnsafeMutablePointer<Int32>) -> Int32
            var ends: [Int32] = [-1, -1]
            var result = ends.withUnsafeMutableBufferPointer {
                $0.baseAddress.map { self.result(Int(function(.pipe, as: F.self)(userdata, $0))) }
                    ?? CallResult(.EFAULT)
            }
            if result.value == 0 { result.descriptors = ends }
            return result
        case .splice(let source, let from, let target, let to, let count, let flags):
            typealias Offset = UnsafeMutablePointer<Int64>?
            typealias F = @convention(c) (User, Int32, Offset, Int32, Offset, Int, UInt32) -> Int
            var start = from ?? 0
            var end = to ?? 0
            return withUnsafeMutablePointer(to: &start) { start in
                withUnsafeMutablePointer(to: &end) { end in
                    result(
                        function(.splice, as: F.self)(
                            userdata, source, from == nil ? nil : start, target, to == nil ? nil : end, count,
                            UInt32(bitPattern: flags)))
                }
            }
        default: return CallResult(.ENOSYS)
        }
    }

    // MARK: Shapes of calls

    private func oneNumber(_ slot: Slot, _ one: Int32) -> CallResult {
        typealias F = @convention(c) (User, Int32) -> Int32
        return result(Int(function(slot, as: F.self)(userdata, one)))
    }

    private func twoNumbers(_ slot: Slot, _ one: Int32, _ two: Int32) -> CallResult {
        typealias F = @convention(c) (User, Int32, Int32) -> Int32
        return result(Int(function(slot, as: F.self)(userdata, one, two)))
    }

    private func named(_ slot: Slot, _ descriptor: Int32, _ address: SocketAddress) -> CallResult {
        typealias F = @convention(c) (User, Int32, UnsafeRawPointer?, UInt32) -> Int32
        return address.octets.withUnsafeBytes {
            result(Int(function(slot, as: F.self)(userdata, descriptor, $0.baseAddress, UInt32($0.count))))
        }
    }

    private func accept(_ descriptor: Int32, _ flags: Int32) -> CallResult {
        // The table has no accept4.
        guard flags == 0 else { return CallResult(.ENOSYS) }
        typealias F = @convention(c) (User, Int32, Address, UnsafeMutablePointer<UInt32>) -> Int32
        var octets = [UInt8](repeating: 0, count: 28)
        var count = UInt32(octets.count)
        var result = octets.withUnsafeMutableBytes {
            self.result(Int(function(.accept, as: F.self)(userdata, descriptor, $0.baseAddress, &count)))
        }
        if result.value >= 0 { result.address = try? SocketAddress(octets: Array(octets.prefix(Int(count)))) }
        return result
    }

    private func ioctl(_ descriptor: Int32, _ request: UInt, _ argument: Int32) -> CallResult {
        typealias F = @convention(c) (User, Int32, UInt, UnsafeMutablePointer<Int32>) -> Int32
        var number = argument
        var result = result(Int(function(.ioctl, as: F.self)(userdata, descriptor, request, &number)))
        result.integer = number
        return result
    }

    private func reading(_ count: Int, _ body: (Address) -> Int) -> CallResult {
        var octets = [UInt8](repeating: 0, count: max(count, 0))
        var result = octets.withUnsafeMutableBytes { self.result(body($0.baseAddress)) }
        if result.value > 0 { result.octets = Array(octets.prefix(result.value)) }
        return result
    }

    private func send(
        _ descriptor: Int32, _ octets: [UInt8], _ flags: Int32, _ address: SocketAddress?
    ) -> CallResult {
        typealias F = @convention(c) (User, Int32, UnsafeRawPointer?, Int, Int32) -> Int
        typealias To = @convention(c) (User, Int32, UnsafeRawPointer?, Int, Int32, UnsafeRawPointer?, UInt32) -> Int
        return octets.withUnsafeBytes { bytes in
            guard let address else {
                return result(
                    function(.send, as: F.self)(userdata, descriptor, bytes.baseAddress, bytes.count, flags))
            }
            return address.octets.withUnsafeBytes {
                result(
                    function(.sendto, as: To.self)(
                        userdata, descriptor, bytes.baseAddress, bytes.count, flags, $0.baseAddress, UInt32($0.count)))
            }
        }
    }

    /// readv, and with flags recvmsg.
    private func scattered(
        _ slot: Slot, _ descriptor: Int32, _ counts: [Int], room: Int, flags: Int32?
    ) -> CallResult {
        var octets = [UInt8](repeating: 0, count: counts.reduce(0, +))
        var control = [UInt8](repeating: 0, count: room)
        var messageFlags: Int32 = 0
        var controlCount = 0
        var result = octets.withUnsafeMutableBytes { bytes in
            var offset = 0
            var parts: [iovec] = []
            for count in counts {
                parts.append(iovec(iov_base: bytes.baseAddress.map { $0 + offset }, iov_len: count))
                offset += count
            }
            return parts.withUnsafeMutableBufferPointer { parts in
                guard let flags else {
                    typealias F = @convention(c) (User, Int32, UnsafeRawPointer?, Int32) -> Int
                    return self.result(
                        function(slot, as: F.self)(userdata, descriptor, parts.baseAddress, Int32(parts.count)))
                }
                typealias F = @convention(c) (User, Int32, UnsafeMutablePointer<msghdr>, Int32) -> Int
                return control.withUnsafeMutableBytes { control in
                    var message = msghdr()
                    message.msg_iov = parts.baseAddress
                    message.msg_iovlen = parts.count
                    message.msg_control = control.count > 0 ? control.baseAddress : nil
                    message.msg_controllen = control.count
                    let result = self.result(function(slot, as: F.self)(userdata, descriptor, &message, flags))
                    messageFlags = message.msg_flags
                    controlCount = Int(message.msg_controllen)
                    return result
                }
            }
        }
        guard result.value >= 0 else { return result }
        result.octets = Array(octets.prefix(result.value))
        result.control = Array(control.prefix(controlCount))
        result.messageFlags = messageFlags
        return result
    }

    /// writev, and with flags sendmsg.
    private func gathered(
        _ slot: Slot, _ descriptor: Int32, _ parts: [[UInt8]], _ control: [UInt8], _ address: SocketAddress?,
        flags: Int32?
    ) -> CallResult {
        var octets = Array(parts.joined())
        var control = control
        var name = address?.octets ?? []
        return octets.withUnsafeMutableBytes { bytes in
            var offset = 0
            var vector: [iovec] = []
            for part in parts {
                vector.append(iovec(iov_base: bytes.baseAddress.map { $0 + offset }, iov_len: part.count))
                offset += part.count
            }
            return vector.withUnsafeMutableBufferPointer { vector in
                guard let flags else {
                    typealias F = @convention(c) (User, Int32, UnsafeRawPointer?, Int32) -> Int
                    return result(
                        function(slot, as: F.self)(userdata, descriptor, vector.baseAddress, Int32(vector.count)))
                }
                typealias F = @convention(c) (User, Int32, UnsafeMutablePointer<msghdr>, Int32) -> Int
                return control.withUnsafeMutableBytes { control in
                    name.withUnsafeMutableBytes { name in
                        var message = msghdr()
                        message.msg_name = name.count > 0 ? name.baseAddress : nil
                        message.msg_namelen = UInt32(name.count)
                        message.msg_iov = vector.baseAddress
                        message.msg_iovlen = vector.count
                        message.msg_control = control.count > 0 ? control.baseAddress : nil
                        message.msg_controllen = control.count
                        return result(function(slot, as: F.self)(userdata, descriptor, &message, flags))
                    }
                }
            }
        }
    }

    private func poll(_ entries: [PollDescriptor], _ timeout: Int32) -> CallResult {
        typealias F = @convention(c) (User, Address, UInt, Int32) -> Int32
        var octets = entries.flatMap(\.octets)
        var result = octets.withUnsafeMutableBytes {
            self.result(Int(function(.poll, as: F.self)(userdata, $0.baseAddress, UInt(entries.count), timeout)))
        }
        guard result.value >= 0 else { return result }
        result.polled = entries.indices.map { PollDescriptor(octets: Array(octets[$0 * 8..<$0 * 8 + 8])) }
        return result
    }

    private func waitEpoll(_ descriptor: Int32, _ maximum: Int, _ timeout: Int32) -> CallResult {
        typealias F = @convention(c) (User, Int32, Address, Int32, Int32) -> Int32
        let size = EpollEvent.size
        var octets = [UInt8](repeating: 0, count: size * max(maximum, 0))
        var result = octets.withUnsafeMutableBytes {
            self.result(
                Int(
                    function(.epollWait, as: F.self)(
                        userdata, descriptor, $0.baseAddress, Int32(clamping: maximum), timeout)))
        }
        guard result.value > 0 else { return result }
        result.events = (0..<result.value).map {
            EpollEvent(octets: Array(octets[$0 * size..<($0 + 1) * size]))
        }
        return result
    }
}
