; ModuleID = 'signatures.c'
source_filename = "signatures.c"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

@.str = private unnamed_addr constant [6 x i8] c"%d %d\00", align 1
@.str.1 = private unnamed_addr constant [5 x i8] c"%ld\0A\00", align 1

; Function Attrs: nounwind uwtable
define dso_local range(i32 0, 2) i32 @main() local_unnamed_addr #0 {
  %1 = alloca i32, align 4
  %2 = alloca i32, align 4
  call void @llvm.lifetime.start.p0(i64 4, ptr nonnull %1) #7
  call void @llvm.lifetime.start.p0(i64 4, ptr nonnull %2) #7
  %3 = call i32 (ptr, ...) @__isoc99_scanf(ptr noundef nonnull @.str, ptr noundef nonnull %1, ptr noundef nonnull %2)
  %4 = icmp ne i32 %3, 2
  %5 = load i32, ptr %1, align 4
  %6 = icmp slt i32 %5, 1
  %7 = select i1 %4, i1 true, i1 %6
  %8 = load i32, ptr %2, align 4
  %9 = icmp slt i32 %8, 1
  %10 = select i1 %7, i1 true, i1 %9
  br i1 %10, label %136, label %11

11:                                               ; preds = %0
  %12 = zext nneg i32 %5 to i64
  %13 = zext nneg i32 %8 to i64
  %14 = shl nuw nsw i64 %12, 3
  %15 = mul i64 %14, %13
  %16 = call noalias ptr @malloc(i64 noundef %15) #8
  %17 = icmp eq ptr %16, null
  br i1 %17, label %136, label %18

18:                                               ; preds = %11
  %19 = mul nuw nsw i64 %13, %12
  %20 = add nsw i64 %19, -1
  %21 = and i64 %19, 3
  %22 = icmp ult i64 %20, 3
  br i1 %22, label %25, label %23

23:                                               ; preds = %18
  %24 = and i64 %19, 4611686018427387900
  br label %46

25:                                               ; preds = %46, %18
  %26 = phi i64 [ 0, %18 ], [ %65, %46 ]
  %27 = phi i64 [ 1, %18 ], [ %63, %46 ]
  %28 = icmp eq i64 %21, 0
  br i1 %28, label %39, label %29

29:                                               ; preds = %25, %29
  %30 = phi i64 [ %36, %29 ], [ %26, %25 ]
  %31 = phi i64 [ %34, %29 ], [ %27, %25 ]
  %32 = phi i64 [ %37, %29 ], [ 0, %25 ]
  %33 = mul i64 %31, 6364136223846793005
  %34 = add i64 %33, 1442695040888963407
  %35 = getelementptr inbounds i64, ptr %16, i64 %30
  store i64 %34, ptr %35, align 8, !tbaa !5
  %36 = add nuw nsw i64 %30, 1
  %37 = add i64 %32, 1
  %38 = icmp eq i64 %37, %21
  br i1 %38, label %39, label %29, !llvm.loop !9

39:                                               ; preds = %29, %25
  %40 = icmp sgt i32 %5, 0
  br i1 %40, label %41, label %72

41:                                               ; preds = %39
  %42 = zext nneg i32 %5 to i64
  %43 = icmp ult i32 %8, 4
  %44 = and i64 %13, 2147483644
  %45 = icmp eq i64 %44, %13
  br label %75

46:                                               ; preds = %46, %23
  %47 = phi i64 [ 0, %23 ], [ %65, %46 ]
  %48 = phi i64 [ 1, %23 ], [ %63, %46 ]
  %49 = phi i64 [ 0, %23 ], [ %66, %46 ]
  %50 = mul i64 %48, 6364136223846793005
  %51 = add i64 %50, 1442695040888963407
  %52 = getelementptr inbounds i64, ptr %16, i64 %47
  store i64 %51, ptr %52, align 8, !tbaa !5
  %53 = or disjoint i64 %47, 1
  %54 = mul i64 %51, 6364136223846793005
  %55 = add i64 %54, 1442695040888963407
  %56 = getelementptr inbounds i64, ptr %16, i64 %53
  store i64 %55, ptr %56, align 8, !tbaa !5
  %57 = or disjoint i64 %47, 2
  %58 = mul i64 %55, 6364136223846793005
  %59 = add i64 %58, 1442695040888963407
  %60 = getelementptr inbounds i64, ptr %16, i64 %57
  store i64 %59, ptr %60, align 8, !tbaa !5
  %61 = or disjoint i64 %47, 3
  %62 = mul i64 %59, 6364136223846793005
  %63 = add i64 %62, 1442695040888963407
  %64 = getelementptr inbounds i64, ptr %16, i64 %61
  store i64 %63, ptr %64, align 8, !tbaa !5
  %65 = add nuw nsw i64 %47, 4
  %66 = add i64 %49, 4
  %67 = icmp eq i64 %66, %24
  br i1 %67, label %25, label %46, !llvm.loop !11

68:                                               ; preds = %130, %75
  %69 = phi i64 [ %78, %75 ], [ %133, %130 ]
  %70 = add nuw nsw i64 %77, 1
  %71 = icmp eq i64 %79, %12
  br i1 %71, label %72, label %75, !llvm.loop !13

72:                                               ; preds = %68, %39
  %73 = phi i64 [ 0, %39 ], [ %69, %68 ]
  %74 = call i32 (ptr, ...) @printf(ptr noundef nonnull dereferenceable(1) @.str.1, i64 noundef %73)
  call void @free(ptr noundef %16) #7
  br label %136

75:                                               ; preds = %41, %68
  %76 = phi i64 [ 0, %41 ], [ %79, %68 ]
  %77 = phi i64 [ 1, %41 ], [ %70, %68 ]
  %78 = phi i64 [ 0, %41 ], [ %69, %68 ]
  %79 = add nuw nsw i64 %76, 1
  %80 = icmp ult i64 %79, %42
  br i1 %80, label %81, label %68

81:                                               ; preds = %75
  %82 = mul nuw nsw i64 %76, %13
  %83 = getelementptr inbounds i64, ptr %16, i64 %82
  br label %84

84:                                               ; preds = %81, %130
  %85 = phi i64 [ %77, %81 ], [ %134, %130 ]
  %86 = phi i64 [ %78, %81 ], [ %133, %130 ]
  %87 = mul nuw nsw i64 %85, %13
  %88 = getelementptr inbounds i64, ptr %16, i64 %87
  br i1 %43, label %114, label %89

89:                                               ; preds = %84, %89
  %90 = phi i64 [ %109, %89 ], [ 0, %84 ]
  %91 = phi <2 x i32> [ %107, %89 ], [ zeroinitializer, %84 ]
  %92 = phi <2 x i32> [ %108, %89 ], [ zeroinitializer, %84 ]
  %93 = getelementptr inbounds i64, ptr %83, i64 %90
  %94 = getelementptr inbounds i8, ptr %93, i64 16
  %95 = load <2 x i64>, ptr %93, align 8, !tbaa !5
  %96 = load <2 x i64>, ptr %94, align 8, !tbaa !5
  %97 = getelementptr inbounds i64, ptr %88, i64 %90
  %98 = getelementptr inbounds i8, ptr %97, i64 16
  %99 = load <2 x i64>, ptr %97, align 8, !tbaa !5
  %100 = load <2 x i64>, ptr %98, align 8, !tbaa !5
  %101 = xor <2 x i64> %99, %95
  %102 = xor <2 x i64> %100, %96
  %103 = call range(i64 0, 65) <2 x i64> @llvm.ctpop.v2i64(<2 x i64> %101)
  %104 = call range(i64 0, 65) <2 x i64> @llvm.ctpop.v2i64(<2 x i64> %102)
  %105 = trunc nuw nsw <2 x i64> %103 to <2 x i32>
  %106 = trunc nuw nsw <2 x i64> %104 to <2 x i32>
  %107 = add <2 x i32> %91, %105
  %108 = add <2 x i32> %92, %106
  %109 = add nuw i64 %90, 4
  %110 = icmp eq i64 %109, %44
  br i1 %110, label %111, label %89, !llvm.loop !14

111:                                              ; preds = %89
  %112 = add <2 x i32> %108, %107
  %113 = call i32 @llvm.vector.reduce.add.v2i32(<2 x i32> %112)
  br i1 %45, label %130, label %114

114:                                              ; preds = %111, %84
  %115 = phi i64 [ 0, %84 ], [ %44, %111 ]
  %116 = phi i32 [ 0, %84 ], [ %113, %111 ]
  br label %117

117:                                              ; preds = %114, %117
  %118 = phi i64 [ %128, %117 ], [ %115, %114 ]
  %119 = phi i32 [ %127, %117 ], [ %116, %114 ]
  %120 = getelementptr inbounds i64, ptr %83, i64 %118
  %121 = load i64, ptr %120, align 8, !tbaa !5
  %122 = getelementptr inbounds i64, ptr %88, i64 %118
  %123 = load i64, ptr %122, align 8, !tbaa !5
  %124 = xor i64 %123, %121
  %125 = call range(i64 0, 65) i64 @llvm.ctpop.i64(i64 %124)
  %126 = trunc nuw nsw i64 %125 to i32
  %127 = add nuw nsw i32 %119, %126
  %128 = add nuw nsw i64 %118, 1
  %129 = icmp eq i64 %128, %13
  br i1 %129, label %130, label %117, !llvm.loop !17

130:                                              ; preds = %117, %111
  %131 = phi i32 [ %113, %111 ], [ %127, %117 ]
  %132 = zext nneg i32 %131 to i64
  %133 = add nsw i64 %86, %132
  %134 = add nuw nsw i64 %85, 1
  %135 = icmp eq i64 %134, %12
  br i1 %135, label %68, label %84, !llvm.loop !18

136:                                              ; preds = %72, %11, %0
  %137 = phi i32 [ 1, %0 ], [ 0, %72 ], [ 1, %11 ]
  call void @llvm.lifetime.end.p0(i64 4, ptr nonnull %2) #7
  call void @llvm.lifetime.end.p0(i64 4, ptr nonnull %1) #7
  ret i32 %137
}

; Function Attrs: mustprogress nocallback nofree nosync nounwind willreturn memory(argmem: readwrite)
declare void @llvm.lifetime.start.p0(i64 immarg, ptr nocapture) #1

; Function Attrs: nofree nounwind
declare noundef i32 @__isoc99_scanf(ptr nocapture noundef readonly, ...) local_unnamed_addr #2

; Function Attrs: mustprogress nofree nounwind willreturn allockind("alloc,uninitialized") allocsize(0) memory(inaccessiblemem: readwrite)
declare noalias noundef ptr @malloc(i64 noundef) local_unnamed_addr #3

; Function Attrs: mustprogress nocallback nofree nosync nounwind willreturn memory(argmem: readwrite)
declare void @llvm.lifetime.end.p0(i64 immarg, ptr nocapture) #1

; Function Attrs: nofree nounwind
declare noundef i32 @printf(ptr nocapture noundef readonly, ...) local_unnamed_addr #2

; Function Attrs: mustprogress nounwind willreturn allockind("free") memory(argmem: readwrite, inaccessiblemem: readwrite)
declare void @free(ptr allocptr nocapture noundef) local_unnamed_addr #4

; Function Attrs: mustprogress nocallback nofree nosync nounwind speculatable willreturn memory(none)
declare i64 @llvm.ctpop.i64(i64) #5

; Function Attrs: nocallback nofree nosync nounwind speculatable willreturn memory(none)
declare <2 x i64> @llvm.ctpop.v2i64(<2 x i64>) #6

; Function Attrs: nocallback nofree nosync nounwind speculatable willreturn memory(none)
declare i32 @llvm.vector.reduce.add.v2i32(<2 x i32>) #6

attributes #0 = { nounwind uwtable "min-legal-vector-width"="0" "no-trapping-math"="true" "stack-protector-buffer-size"="8" "target-cpu"="x86-64" "target-features"="+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+x87" "tune-cpu"="generic" }
attributes #1 = { mustprogress nocallback nofree nosync nounwind willreturn memory(argmem: readwrite) }
attributes #2 = { nofree nounwind "no-trapping-math"="true" "stack-protector-buffer-size"="8" "target-cpu"="x86-64" "target-features"="+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+x87" "tune-cpu"="generic" }
attributes #3 = { mustprogress nofree nounwind willreturn allockind("alloc,uninitialized") allocsize(0) memory(inaccessiblemem: readwrite) "alloc-family"="malloc" "no-trapping-math"="true" "stack-protector-buffer-size"="8" "target-cpu"="x86-64" "target-features"="+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+x87" "tune-cpu"="generic" }
attributes #4 = { mustprogress nounwind willreturn allockind("free") memory(argmem: readwrite, inaccessiblemem: readwrite) "alloc-family"="malloc" "no-trapping-math"="true" "stack-protector-buffer-size"="8" "target-cpu"="x86-64" "target-features"="+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+x87" "tune-cpu"="generic" }
attributes #5 = { mustprogress nocallback nofree nosync nounwind speculatable willreturn memory(none) }
attributes #6 = { nocallback nofree nosync nounwind speculatable willreturn memory(none) }
attributes #7 = { nounwind }
attributes #8 = { nounwind allocsize(0) }

!llvm.module.flags = !{!0, !1, !2, !3}
!llvm.ident = !{!4}

!0 = !{i32 1, !"wchar_size", i32 4}
!1 = !{i32 8, !"PIC Level", i32 2}
!2 = !{i32 7, !"PIE Level", i32 2}
!3 = !{i32 7, !"uwtable", i32 2}
!4 = !{!"Debian clang version 19.1.7 (3~deb12u1)"}
!5 = !{!6, !6, i64 0}
!6 = !{!"long", !7, i64 0}
!7 = !{!"omnipotent char", !8, i64 0}
!8 = !{!"Simple C/C++ TBAA"}
!9 = distinct !{!9, !10}
!10 = !{!"llvm.loop.unroll.disable"}
!11 = distinct !{!11, !12}
!12 = !{!"llvm.loop.mustprogress"}
!13 = distinct !{!13, !12}
!14 = distinct !{!14, !12, !15, !16}
!15 = !{!"llvm.loop.isvectorized", i32 1}
!16 = !{!"llvm.loop.unroll.runtime.disable"}
!17 = distinct !{!17, !12, !16, !15}
!18 = distinct !{!18, !12}
