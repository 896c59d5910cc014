import Glibc

/// Files as the commands need them: whole, by path.
package enum Files {
    /// All octets of a file.
    package static func read(_ path: String) throws(ProofError) -> [UInt8] {
        guard let file = fopen(path, "r") else { throw ProofError("\(path) cannot be read: \(reason)") }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        guard ferror(file) == 0 else { throw ProofError("\(path) cannot be read: is it a file?") }
        return bytes
    }

    /// A file as text.
    package static func text(_ path: String) throws(ProofError) -> String {
        String(decoding: try read(path), as: UTF8.self)
    }

    /// Writes a file, and makes its folders. One that holds the same already keeps its date, so that what is built from it
    /// need not be built again.
    package static func write(_ bytes: [UInt8], to path: String) throws(ProofError) {
        if exists(path), try read(path) == bytes { return }
        if let slash = path.lastIndex(of: "/") { try makeFolder(String(path[..<slash])) }
        guard let file = fopen(path, "w") else { throw ProofError("\(path) cannot be written: \(reason)") }
        let written = fwrite(bytes, 1, bytes.count, file)
        guard fclose(file) == 0, written == bytes.count else {
            throw ProofError("\(path) cannot be written: \(reason)")
        }
    }

    package static func write(_ text: String, to path: String) throws(ProofError) {
        try write(Array(text.utf8), to: path)
    }

    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    private static func makeFolder(_ path: String) throws(ProofError) {
        if path.isEmpty || exists(path) { return }
        if let slash = path.lastIndex(of: "/") { try makeFolder(String(path[..<slash])) }
        guard mkdir(path, 0o777) == 0 || errno == EEXIST else {
            throw ProofError("\(path) cannot be made: \(reason)")
        }
    }

    /// The paths, below `root` and sorted, of all files under `folder` whose name ends in `suffix`. Nothing when there is no
    /// such folder.
    package static func list(_ folder: String, in root: String, suffix: String) -> [String] {
        guard let directory = opendir(root + "/" + folder) else { return [] }
        defer { closedir(directory) }
        var found: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix(".") { continue }
            let path = folder + "/" + name
            if entry.pointee.d_type == DT_DIR {
                found += list(path, in: root, suffix: suffix)
            } else if name.hasSuffix(suffix) {
                found.append(path)
            }
        }
        return found.sorted()
    }

    /// Removes a file.
    package static func remove(_ path: String) { unlink(path) }

    private static var reason: String { String(cString: strerror(errno)) }
}
