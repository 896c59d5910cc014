import Glibc
import TCPSockets

// Between the caller's memory and values.

func adapter(_ user: User) -> Adapter {
    guard let user else { fatalError("the table's functions were called without the table's first word") }
    return Unmanaged<Adapter>.fromOpaque(user).takeUnretainedValue()
}

/// Makes a call, and returns as the function of its name does.
func answer(_ user: User, _ call: SystemCall) -> Int32 { number(adapter(user).perform(call)) }

func number(_ result: CallResult) -> Int32 { Int32(clamping: wide(result)) }

func wide(_ result: CallResult) -> Int {
    if result.value < 0 { errno = result.errno.rawValue }
    return result.value
}

func fail(_ number: Int32) -> Int {
    errno = number
    return -1
}

/// The octets at a place.
func octets(_ place: UnsafeRawPointer?, _ count: Int) -> [UInt8] {
    guard let place, count > 0 else { return [] }
    return Array(UnsafeRawBufferPointer(start: place, count: count))
}

func copy(_ octets: UnsafeRawBufferPointer, _ place: Pointer) {
    guard let place, let base = octets.baseAddress, octets.count > 0 else { return }
    place.copyMemory(from: base, byteCount: octets.count)
}

/// Puts what was read where the caller wants it.
func deliver(_ result: CallResult, _ buffer: Pointer) -> Int {
    result.octets.withUnsafeBytes { copy($0, buffer) }
    return wide(result)
}

/// The same into several places.
func scatter(_ result: CallResult, _ parts: [iovec]) -> Int {
    var offset = 0
    result.octets.withUnsafeBytes { all in
        for part in parts {
            let count = min(part.iov_len, all.count - offset)
            guard count > 0 else { continue }
            copy(UnsafeRawBufferPointer(rebasing: all[offset..<offset + count]), part.iov_base)
            offset += count
        }
    }
    return wide(result)
}

/// The parts of a vector; `nil` for more than Linux takes.
func vector(_ parts: UnsafePointer<iovec>?, _ count: Int) -> [iovec]? {
    guard (0...1024).contains(count), parts != nil || count == 0 else { return nil }
    return Array(UnsafeBufferPointer(start: parts, count: count))
}

func withAddress(_ place: UnsafeRawPointer?, _ length: UInt32, _ body: (SocketAddress) -> Int32) -> Int32 {
    do throws(Errno) {
        return body(try SocketAddress(octets: octets(place, Int(min(length, 128)))))
    } catch {
        return Int32(fail(error.rawValue))
    }
}

/// Gives the caller an address: as much as there is room for, and how long it is.
func store(_ address: SocketAddress?, _ place: Pointer, _ length: UnsafeMutablePointer<UInt32>?) {
    guard let length else { return }
    guard let octets = address?.octets else {
        length.pointee = 0
        return
    }
    octets.prefix(Int(length.pointee)).withUnsafeBytes { copy($0, place) }
    length.pointee = UInt32(octets.count)
}

func getsockopt(
    _ adapter: Adapter, _ descriptor: Int32, _ level: Int32, _ name: Int32, _ value: Pointer,
    _ length: UnsafeMutablePointer<UInt32>?
) -> Int32 {
    guard let length, value != nil || length.pointee == 0 else { return Int32(fail(EFAULT)) }
    guard length.pointee <= UInt32(Int32.max) else { return Int32(fail(EINVAL)) }
    let room = Int(min(length.pointee, 65536))
    let result = adapter.perform(.getsockopt(descriptor, level: level, name: name, length: room))
    if result.value == 0 {
        result.option.withUnsafeBytes { copy($0, value) }
        length.pointee = UInt32(result.option.count)
    }
    return number(result)
}
