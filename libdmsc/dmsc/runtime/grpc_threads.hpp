// gRPC's callback threads live as long as the process.
#pragma once

namespace dmsc::runtime {

// gRPC 1.51 ends the threads of its callback API with the last channel or server that used them, and
// starts them again with the next. The end races with calls that are just completing (an assertion in
// its completion queue), which would turn an orderly exit into an abort. From the first call of this
// function on they stay. Call it before using the callback API. Any thread.
void keep_grpc_threads();

}  // namespace dmsc::runtime
